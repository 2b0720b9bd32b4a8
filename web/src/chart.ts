// Charts of one cell over time.
import uPlot from 'uplot';
import type { Rows } from './api';

export interface Series {
  label: string;
  color: string;
  values: (number | null)[];
  dash?: number[];
  fillTo?: number; // index of the series down to which the area is filled
}

// times are the window ends of rows in seconds of unix time.
export function times(rows: Rows): number[] {
  return rows.entities.map((e) => (e.windowEnd ? e.windowEnd.getTime() / 1000 : 0));
}

// forecast pairs what came with what had been forecast for it: the target at
// window end E, and the last forecast that was made one window before.
export function forecast(rows: Rows, model: string, target: string, windowSeconds: number) {
  const at = times(rows);
  const value = (name: string, i: number) => rows.values.get(name)?.[i] ?? null;
  const made = new Map<number, number>(); // row by the time of its forecast
  for (let i = 0; i < at.length; i++) {
    const when = value(`${model}_at`, i);
    if (when !== null) made.set(when / 1e6, i);
  }
  const ends = new Set<number>();
  for (const when of made.keys()) ends.add(when + windowSeconds);
  const byEnd = new Map(at.map((t, i) => [t, i]));
  for (const t of at) if (t % windowSeconds === 0) ends.add(t);
  const x = [...ends].sort((a, b) => a - b);
  const of = (name: string) => x.map((t) => {
    const i = made.get(t - windowSeconds);
    return i === undefined ? null : value(name, i);
  });
  const actual = x.map((t) => {
    const i = byEnd.get(t);
    return i === undefined ? null : value(target, i);
  });
  return { x, actual, mean: of(model), low: of(`${model}_lo`), high: of(`${model}_hi`) };
}

export class Chart {
  private plot?: uPlot;

  constructor(private parent: HTMLElement) {}

  draw(x: number[], series: Series[]) {
    const data = [x, ...series.map((s) => s.values)] as uPlot.AlignedData;
    const labels = series.map((s) => s.label).join();
    if (this.plot && this.parent.dataset.labels === labels) {
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.parent.dataset.labels = labels;
    const axis = { stroke: '#8fa1b3', grid: { stroke: '#2a3644', width: 1 }, ticks: { stroke: '#2a3644' } };
    this.plot = new uPlot({
      width: this.parent.clientWidth || 348,
      height: 150,
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), 'UTC'),
      scales: { y: { range: (_u, low, high) => [Math.min(0, low ?? 0), (high ?? 1) * 1.05 + (high === 0 ? 1 : 0)] } },
      axes: [axis, { ...axis, size: 44 }],
      bands: series.flatMap((s, i) => (s.fillTo === undefined ? [] : [{ series: [i + 1, s.fillTo + 1] as [number, number], fill: '#58c4dd22' }])),
      series: [{ label: 'UTC' }, ...series.map((s) => ({ label: s.label, stroke: s.color, width: 1.5, dash: s.dash, spanGaps: true, points: { show: x.length < 3 } }))],
    }, data, this.parent);
  }
}
