// A curve as text for the terminal, and as an SVG file.

export interface Point {
  readonly x: number;
  readonly y: number;
}

const WIDTH = 60;
const HEIGHT = 15;

/** A plot of `points` by ascending x, with the range of both axes at their ends. */
export function textPlot(points: readonly Point[], xLabel: string, yLabel: string): string {
  const { left, right, low, high } = ranges(points);
  const rows = Array.from({ length: HEIGHT }, () => Array.from({ length: WIDTH }, () => ' '));
  for (const { x, y } of points) {
    const column = Math.round(((x - left) / (right - left || 1)) * (WIDTH - 1));
    const row = HEIGHT - 1 - Math.round(((y - low) / (high - low || 1)) * (HEIGHT - 1));
    (rows[row] as string[])[column] = '*';
  }
  const margin = Math.max(short(low).length, short(high).length);
  const lines = rows.map((row, k) => {
    const label = k === 0 ? short(high) : k === HEIGHT - 1 ? short(low) : '';
    return `${label.padStart(margin)} |${row.join('').trimEnd()}`;
  });
  const axis = `${' '.repeat(margin)} +${'-'.repeat(WIDTH)}`;
  const ends = short(left) + short(right).padStart(WIDTH - short(left).length);
  return [yLabel, ...lines, axis, `${' '.repeat(margin + 2)}${ends}`, `${' '.repeat(margin + 2)}${xLabel}`].join('\n');
}

/** The same curve as a small SVG document. */
export function svgPlot(points: readonly Point[], xLabel: string, yLabel: string): string {
  const { left, right, low, high } = ranges(points);
  const at = ({ x, y }: Point): string => {
    const px = 60 + ((x - left) / (right - left || 1)) * 400;
    const py = 270 - ((y - low) / (high - low || 1)) * 240;
    return `${px.toFixed(1)},${py.toFixed(1)}`;
  };
  const text = (x: number, y: number, anchor: string, label: string): string =>
    `<text x="${x}" y="${y}" font-family="sans-serif" font-size="12" text-anchor="${anchor}">${label}</text>`;
  return [
    '<svg xmlns="http://www.w3.org/2000/svg" width="480" height="320" viewBox="0 0 480 320">',
    '<path d="M60 30V270H460" fill="none" stroke="black"/>',
    `<polyline points="${points.map(at).join(' ')}" fill="none" stroke="black" stroke-width="2"/>`,
    text(56, 274, 'end', short(low)),
    text(56, 34, 'end', short(high)),
    text(60, 288, 'middle', short(left)),
    text(460, 288, 'middle', short(right)),
    text(260, 308, 'middle', xLabel),
    text(60, 20, 'middle', yLabel),
    '</svg>\n',
  ].join('\n');
}

function ranges(points: readonly Point[]): { left: number; right: number; low: number; high: number } {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  return { left: Math.min(...xs), right: Math.max(...xs), low: Math.min(0, ...ys), high: Math.max(...ys) };
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
