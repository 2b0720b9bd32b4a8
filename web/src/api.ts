// The calls of the HTTP gateway (proto/hextide/v1) and their answers, with
// 64-bit integers, which JSON carries as text, read as numbers.

export interface ColumnInfo {
  name: string;
  kind: 'int64' | 'float64';
  origin: string;
  aggregate: string;
  ring: number;
  window?: string; // "900s"
  description: string;
  incompleteUntil?: string; // RFC 3339; absent: complete
}

export interface ModelInfo {
  name: string;
  kind: string;
  target: string;
  window: string;
}

export interface Description {
  pipeline: string;
  planHash: string;
  resolution: number;
  columns: ColumnInfo[];
  models: ModelInfo[];
  version: string;
}

export interface Score {
  model: string;
  forecasts: number;
  deviance: number;
  mae: number;
  bias: number;
  coverage: number;
  lastValueDeviance: number;
  lastValueMae: number;
  seasonalDeviance: number;
  seasonalMae: number;
}

export interface Checkpoint {
  epoch: number;
  ended?: Date;
  error: string; // empty: it was committed
  bytes: number;
  newBytes: number;
  objects: number;
  longestChain: number;
  parts: { name: string; seconds: number }[];
  slowestShard: number;
  slowestShardSeconds: number;
}

export interface Failure {
  epoch: number;
  at?: Date;
  error: string;
}

export interface Status {
  eventsPerSecond: number;
  events: number;
  watermark?: Date;
  lagSeconds: number;
  lastCheckpoint?: Date;
  lastEpoch: number;
  lastCheckpointError: string;
  deadLetters: number;
  late: number;
  phase: string;
  scores: Score[];
  checkpoints: Checkpoint[]; // the newest first
  lastFailure?: Failure;
}

export interface Entity {
  h3: string;
  windowEnd?: Date;
  state: string; // open | provisional | final | empty
  revision: number;
  ageSeconds: number;
}

// Rows are entities and, by column name, their values; null where undefined.
export interface Rows {
  entities: Entity[];
  values: Map<string, (number | null)[]>;
}

type Json = { [key: string]: any };

export function number(v: unknown): number {
  return v === undefined || v === null ? 0 : Number(v);
}

// seconds reads a duration as the gateway writes it: "12.5s".
export function seconds(text: string | undefined): number {
  return text ? Number.parseFloat(text) : 0;
}

function time(text: string | undefined): Date | undefined {
  return text ? new Date(text) : undefined;
}

export function rows(answer: Json): Rows {
  const entities = (answer.entities ?? []).map((e: Json) => ({
    h3: e.h3,
    windowEnd: time(e.windowEnd),
    state: String(e.state ?? '').replace('ROW_STATE_', '').toLowerCase(),
    revision: number(e.revision),
    ageSeconds: number(e.ageSeconds),
  }));
  const values = new Map<string, (number | null)[]>();
  for (const column of answer.columns ?? []) {
    const all: (number | null)[] = (column.integers?.length ? column.integers : column.floats ?? []).map(number);
    for (const i of column.nulls ?? []) all[i] = null;
    values.set(column.name, all);
  }
  return { entities, values };
}

async function call(path: string, body?: Json): Promise<Json> {
  const response = await fetch(path, body && { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message ?? response.statusText);
  return answer;
}

export async function describe(): Promise<Description> {
  const d = await call('v1/describe');
  return {
    pipeline: d.pipeline,
    planHash: d.planHash,
    resolution: number(d.resolution),
    columns: (d.columns ?? []).map((c: Json) => ({ ...c, ring: number(c.ring), aggregate: c.aggregate ?? '' })),
    models: d.models ?? [],
    version: d.version,
  };
}

export async function status(): Promise<Status> {
  const s = await call('v1/status');
  return {
    eventsPerSecond: number(s.eventsPerSecond),
    events: number(s.events),
    watermark: time(s.watermark),
    lagSeconds: seconds(s.lag),
    lastCheckpoint: time(s.lastCheckpoint),
    lastEpoch: number(s.lastEpoch),
    lastCheckpointError: s.lastCheckpointError ?? '',
    deadLetters: number(s.deadLetters),
    late: number(s.late),
    phase: s.phase ?? '',
    scores: (s.scores ?? []).map((m: Json) => ({ ...m, forecasts: number(m.forecasts) })),
    checkpoints: (s.checkpoints ?? []).map(checkpoint),
    lastFailure: s.lastFailure && { epoch: number(s.lastFailure.epoch), at: time(s.lastFailure.at), error: s.lastFailure.error },
  };
}

export function checkpoint(c: Json): Checkpoint {
  return {
    epoch: number(c.epoch),
    ended: time(c.ended),
    error: c.error ?? '',
    bytes: number(c.bytes),
    newBytes: number(c.newBytes),
    objects: number(c.objects),
    longestChain: number(c.longestChain),
    parts: (c.parts ?? []).map((p: Json) => ({ name: p.name, seconds: number(p.seconds) })),
    slowestShard: number(c.slowestShard),
    slowestShardSeconds: number(c.slowestShardSeconds),
  };
}

export async function latest(column: string, open: boolean): Promise<Rows> {
  return rows(await call('v1/latest', { columns: [column], open }));
}

export async function lookup(h3: string, open: boolean): Promise<Rows> {
  return rows(await call('v1/lookup', { h3: [h3], open }));
}

export async function history(h3: string, columns: string[]): Promise<Rows> {
  const query = new URLSearchParams(columns.map((c) => ['columns', c]));
  return rows(await call(`v1/history/${h3}?${query}`));
}
