// Colours of values: a perceptually even ramp over the range that the values
// of the moment span, on a square-root scale, since counts in a city are
// skewed.

export type Color = [number, number, number];

// Nine stops from dark blue over green to yellow (the viridis map of
// matplotlib, released under CC0).
const stops: Color[] = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
];

export interface Scale {
  low: number;
  high: number;
}

// scale spans the values that are there; a value alone gets a range of its own.
export function scale(values: readonly (number | null)[]): Scale {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (v === null || !Number.isFinite(v)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  if (low > high) return { low: 0, high: 1 };
  if (low >= 0) low = 0;
  return low === high ? { low, high: low + 1 } : { low, high };
}

// share is where a value lies in a scale: 0 at its low end, 1 at its high end.
export function share(s: Scale, value: number): number {
  const linear = (value - s.low) / (s.high - s.low);
  return Math.sqrt(Math.min(1, Math.max(0, linear)));
}

// at is the inverse of share.
export function at(s: Scale, part: number): number {
  return s.low + part * part * (s.high - s.low);
}

export function ramp(part: number): Color {
  const place = Math.min(1, Math.max(0, part)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  const rest = place - i;
  return [0, 1, 2].map((k) => Math.round(stops[i][k] + rest * (stops[i + 1][k] - stops[i][k]))) as Color;
}

// short prints a number in few characters.
export function short(v: number): string {
  if (v !== 0 && (Math.abs(v) < 0.01 || Math.abs(v) >= 1e7)) return v.toExponential(1);
  if (Math.abs(v) >= 10000) return `${short(v / 1000)}k`;
  return String(Math.round(v * 100) / 100);
}
