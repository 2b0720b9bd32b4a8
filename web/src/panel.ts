// The panels around the map: strip, column picker, legend, cell.
import { at, ramp, short, type Scale } from './color';
import type { Checkpoint, ColumnInfo, Failure, Rows, Score, Status } from './api';

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found as T;
}

function ago(t: Date | undefined): string {
  if (!t) return 'none yet';
  const s = Math.max(0, (Date.now() - t.getTime()) / 1000);
  return s < 90 ? `${Math.round(s)} s ago` : `${Math.round(s / 60)} min ago`;
}

export function utc(t: Date | undefined): string {
  return t ? t.toISOString().replace('T', ' ').replace(/\.000Z|Z/, ' UTC') : 'none yet';
}

export function strip(s: Status) {
  const item = (label: string, value: string, mood = '') => {
    const box = document.createElement('div');
    box.className = mood;
    const name = document.createElement('span');
    name.textContent = label;
    const text = document.createElement('b');
    text.textContent = value;
    text.id = `strip-${label.replaceAll(/[ /]/g, '-')}`;
    box.append(name, text);
    return box;
  };
  element('strip').replaceChildren(
    item('events/s', Math.round(s.eventsPerSecond).toLocaleString('en')),
    item('events', s.events.toLocaleString('en')),
    item('watermark', utc(s.watermark)),
    item('lag', `${s.lagSeconds.toFixed(1)} s`),
    item('last checkpoint', s.lastCheckpointError ? `failed: ${s.lastCheckpointError}` : ago(s.lastCheckpoint), s.lastCheckpointError ? 'bad' : ''),
    item('dead letters', s.deadLetters.toLocaleString('en'), s.deadLetters > 0 ? 'warn' : ''),
    item('late', s.late.toLocaleString('en'), s.late > 0 ? 'warn' : ''),
    item('state', s.phase, s.phase === 'running' ? '' : 'warn'),
  );
}

// checkpoints tells where the last one spent its time, and why the last that failed did.
export function checkpoints(all: Checkpoint[], failure: Failure | undefined) {
  const ms = (seconds: number) => `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  const size = (c: Checkpoint) =>
    `${c.bytes.toLocaleString('en')} bytes in ${c.objects.toLocaleString('en')} objects, ${c.newBytes.toLocaleString('en')} of them new, longest chain ${c.longestChain}`;
  const last = all.find((c) => c.error === '');
  const parts = last?.parts.filter((p) => p.name !== 'all').map((p) => `${p.name.replaceAll('_', ' ')} ${ms(p.seconds)}`) ?? [];
  element('checkpoint').textContent = last
    ? `Checkpoint ${last.epoch}: ${ms(last.parts.find((p) => p.name === 'all')?.seconds ?? 0)}, ${size(last)}; ${parts.join(', ')}; slowest shard ${last.slowestShard} (${ms(last.slowestShardSeconds)})`
    : 'no checkpoint yet';
  element('failure').textContent = failure ? `Last failed: epoch ${failure.epoch}, ${ago(failure.at)}: ${failure.error}` : '';
}

// fillColumns lists the columns that match a filter, by where they come from.
export function fillColumns(columns: ColumnInfo[], filter: string, chosen: string) {
  const groups = new Map<string, HTMLOptGroupElement>();
  for (const c of columns) {
    if (!c.name.includes(filter.trim())) continue;
    const label = c.origin === 'aggregate' ? c.aggregate : `${c.origin}s`;
    let group = groups.get(label);
    if (!group) {
      group = document.createElement('optgroup');
      group.label = label;
      groups.set(label, group);
    }
    group.append(new Option(c.name, c.name, false, c.name === chosen));
  }
  element('columns').replaceChildren(...groups.values());
}

export function legend(s: Scale) {
  const colors = document.createElement('div');
  colors.className = 'ramp';
  for (let i = 0; i < 24; i++) {
    const cell = document.createElement('i');
    cell.style.background = `rgb(${ramp(i / 23).join()})`;
    colors.append(cell);
  }
  const ticks = document.createElement('div');
  ticks.className = 'ticks';
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const tick = document.createElement('span');
    tick.textContent = short(at(s, part));
    ticks.append(tick);
  }
  element('legend').replaceChildren(colors, ticks);
}

export function cell(rows: Rows, chosen: string) {
  const e = rows.entities[0];
  element('cell-name').textContent = e.h3;
  const end = e.windowEnd ? `window end ${utc(e.windowEnd)}` : 'no window has closed here yet';
  element('cell-state').textContent = `${e.state}, ${end}, revision ${e.revision}, age ${e.ageSeconds.toFixed(1)} s`;
  const lines = [...rows.values].map(([name, values]) => {
    const line = document.createElement('tr');
    line.className = name === chosen ? 'chosen' : '';
    const value = values[0];
    line.append(data(name), data(value === null ? 'null' : name.endsWith('_at') ? utc(new Date(value / 1000)) : short(value)));
    return line;
  });
  element('values').querySelector('tbody')?.replaceChildren(...lines);
}

function data(text: string): HTMLTableCellElement {
  const td = document.createElement('td');
  td.textContent = text;
  return td;
}

export function score(s: Score | undefined) {
  if (!s || s.forecasts === 0) {
    element('score').textContent = 'no forecast has been judged yet';
    return;
  }
  const beside = [['last value', s.lastValueDeviance], ['seasonal', s.seasonalDeviance]] as const;
  const others = beside.filter(([, deviance]) => deviance > 0).map(([name, deviance]) => `${name} ${short(deviance)}`).join(', ');
  element('score').textContent = `${s.forecasts.toLocaleString('en')} forecasts: deviance ${short(s.deviance)}${others && ` (${others})`}, MAE ${short(s.mae)}, bias ${short(s.bias)}, coverage ${short(s.coverage)}`;
}

// notice shows what is wrong, or nothing.
export function notice(text: string) {
  const box = element('notice');
  box.hidden = text === '';
  box.textContent = text;
}
