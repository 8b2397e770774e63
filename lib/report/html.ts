// A page of headings, text, tables and drawings in one file: no scripts, nothing from a network, well-formed as XML too.

const STYLE =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222}' +
  'table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right}' +
  'th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}figure{margin:1rem 0}' +
  'pre{background:#f6f6f6;padding:.7rem;white-space:pre-wrap}';

/** Text that is safe between tags and in attributes. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** @param body  Markup: what {@link heading} and its neighbours return, in order. */
export function page(title: string, body: readonly string[]): string {
  return (
    `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>${escape(title)}</title>` +
    `<style>${STYLE}</style></head>\n<body>\n${[heading(1, title), ...body].join('\n')}\n</body></html>\n`
  );
}

export function heading(level: 1 | 2 | 3, text: string): string {
  return `<h${level}>${escape(text)}</h${level}>`;
}

export function paragraph(text: string): string {
  return `<p>${escape(text)}</p>`;
}

/** Text whose line breaks count. */
export function preformatted(text: string): string {
  return `<pre>${escape(text)}</pre>`;
}

export function list(items: readonly string[]): string {
  return `<ul>${items.map((item) => `<li>${escape(item)}</li>`).join('')}</ul>`;
}

/** @param rows  Each with as many cells as `header`. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (tag: 'th' | 'td', cells: readonly string[]): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  return `<table><thead>${line('th', header)}</thead>\n<tbody>${rows.map((cells) => line('td', cells)).join('\n')}</tbody></table>`;
}

/** A drawing with a caption. @param svg  Markup. */
export function figure(svg: string, caption: string): string {
  return `<figure>${svg}<figcaption>${escape(caption)}</figcaption></figure>`;
}
