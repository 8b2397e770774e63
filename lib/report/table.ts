// Plain text tables for terminals and logs.

/**
 * Columns aligned by their widest cell: the first to the left, the others to the right.
 *
 * @param rows  Each with as many cells as `header`.
 * @returns Lines without trailing blanks, joined by newlines.
 */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const format = (line: readonly string[]): string =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd();
  const rule = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [format(header), rule, ...rows.map(format)].join('\n');
}
