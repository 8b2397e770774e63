// A bar chart as SVG text: one bar a category, its value above it.

import { escape } from './html';

export interface Bar {
  readonly name: string;
  /** Finite, at least 0. */
  readonly value: number;
}

const [WIDTH, HEIGHT] = [640, 260];
const BOX = { left: 20, right: 620, top: 30, bottom: 220 } as const;

/** @returns `<svg>…</svg>`; an axis alone where there are no bars. */
export function barChart(bars: readonly Bar[], axes: { readonly x: string; readonly y: string }): string {
  const most = Math.max(0, ...bars.map(({ value }) => value));
  const slot = (BOX.right - BOX.left) / Math.max(1, bars.length);
  const parts = bars.flatMap(({ name, value }, k) => {
    const height = most === 0 ? 0 : (value / most) * (BOX.bottom - BOX.top);
    const [x, y] = [BOX.left + k * slot, BOX.bottom - height];
    const middle = x + slot / 2;
    return [
      `<rect x="${(x + slot * 0.1).toFixed(1)}" y="${y.toFixed(1)}" width="${(slot * 0.8).toFixed(1)}" height="${height.toFixed(1)}" fill="#0072b2"/>`,
      text(middle, y - 4, String(Number(value.toPrecision(4)))),
      text(middle, BOX.bottom + 15, name),
    ];
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" ` +
    `font-family="sans-serif" font-size="11" role="img">` +
    `<path d="M${BOX.left} ${BOX.bottom}H${BOX.right}" stroke="#888"/>${parts.join('')}` +
    text((BOX.left + BOX.right) / 2, HEIGHT - 8, axes.x) +
    `<text x="${BOX.left}" y="12">${escape(axes.y)}</text></svg>`
  );
}

function text(x: number, y: number, content: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="middle">${escape(content)}</text>`;
}
