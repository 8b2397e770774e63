// A matrix as SVG text: one square an entry, white for 0 and dark for 1.

const SIDE = 200;

/** @param rows  Entries from 0 to 1, all rows of one length. @returns `<svg>…</svg>`, its first row on top. */
export function heatMap(rows: readonly (readonly number[])[]): string {
  const across = rows[0]?.length ?? 0;
  const [width, height] = [SIDE / Math.max(1, across), SIDE / Math.max(1, rows.length)];
  const cells = rows.flatMap((row, r) =>
    row.flatMap((value, c) => {
      if (value < 0.004) return []; // not to be told from white
      const place = `x="${(c * width).toFixed(2)}" y="${(r * height).toFixed(2)}"`;
      // A little over its square, so that no white line is left between two.
      const size = `width="${(width + 0.3).toFixed(2)}" height="${(height + 0.3).toFixed(2)}"`;
      return [`<rect ${place} ${size} fill="${shade(value)}"/>`];
    }),
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 ${SIDE + 2} ${SIDE + 2}" width="${SIDE + 2}" height="${SIDE + 2}" role="img">` +
    `<rect x="0" y="0" width="${SIDE}" height="${SIDE}" fill="#fff" stroke="#888"/>${cells.join('')}</svg>`
  );
}

// From white to dark blue. No opacity: where squares overlap, it would draw lines.
function shade(value: number): string {
  const part = Math.min(1, value);
  const channel = (dark: number): string => String(Math.round(255 - part * (255 - dark)));
  return `rgb(${channel(8)},${channel(48)},${channel(107)})`;
}
