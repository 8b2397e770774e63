// A line chart as SVG text: axes with a few round ticks, one line a series, and a legend.

import { escape } from './html';

export interface Series {
  readonly name: string;
  /** In the order of x; all numbers finite. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axes {
  readonly x: string;
  readonly y: string;
}

const [WIDTH, HEIGHT] = [640, 320];
const BOX = { left: 60, right: 430, top: 28, bottom: 275 } as const;
// Okabe and Ito's palette: told apart by all eyes.
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

/** @returns `<svg>…</svg>`; axes without numbers where there are no points. */
export function lineChart(series: readonly Series[], axes: Axes): string {
  const points = series.flatMap((one) => one.points);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [x, y] = [scale(xs, BOX.left, BOX.right), scale(ys, BOX.bottom, BOX.top)];
  const parts = [
    `<path d="M${BOX.left} ${BOX.top}V${BOX.bottom}H${BOX.right}" fill="none" stroke="#888"/>`,
    ...ticks(xs).map((value) => text(x(value), BOX.bottom + 16, 'middle', label(value))),
    ...ticks(ys).map((value) => text(BOX.left - 6, y(value) + 4, 'end', label(value))),
    text((BOX.left + BOX.right) / 2, HEIGHT - 6, 'middle', axes.x),
    text(4, 12, 'start', axes.y),
    ...series.flatMap(({ name, points: own }, k) => {
      const colour = COLOURS[k % COLOURS.length] as string;
      const path = own.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' ');
      const dashes = k < COLOURS.length ? '' : ' stroke-dasharray="5 3"';
      const at = BOX.top + 12 + 18 * k;
      return [
        `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"${dashes}/>`,
        `<path d="M${BOX.right + 15} ${at - 4}h20" stroke="${colour}" stroke-width="2"${dashes}/>`,
        text(BOX.right + 40, at, 'start', name),
      ];
    }),
  ];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    `font-family="sans-serif" font-size="11" role="img">${parts.join('')}</svg>`
  );
}

function scale(values: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (value) => (high === low ? (from + to) / 2 : from + ((value - low) / (high - low)) * (to - from));
}

/** Multiples of 1, 2 or 5 times a power of ten inside the range, about five. */
function ticks(values: readonly number[]): number[] {
  if (values.length === 0) return [];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) return [low];
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

const label = (value: number): string => String(Number(value.toPrecision(6)));

function text(x: number, y: number, anchor: string, content: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escape(content)}</text>`;
}
