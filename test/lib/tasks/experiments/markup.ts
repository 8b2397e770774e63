// A strict reader of well-formed markup: tags close in order, attributes are quoted, text is escaped.

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

/** The root element. Throws for anything that XML would refuse (of what our reports use). */
export function parseMarkup(source: string): Element {
  const root: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  const pattern = /<!DOCTYPE html>|<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)|(<)/g;
  for (const [, closing, name, attributes, empty, text, stray] of source.matchAll(pattern)) {
    const top = open.at(-1)!;
    if (stray !== undefined) throw new Error(`a stray < in ${top.name}`);
    if (text !== undefined) {
      if (/&(?!#\d+;|[a-z]+;)/.test(text)) throw new Error(`a bare & in ${top.name}`);
      top.text += text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
    } else if (closing === '/') {
      if (top.name !== name) throw new Error(`</${String(name)}> closes <${top.name}>`);
      open.pop();
    } else if (name !== undefined) {
      const pairs = [...attributes!.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [key!, value!] as const);
      const element: Element = { name, attributes: Object.fromEntries(pairs), children: [], text: '' };
      top.children.push(element);
      if (empty !== '/') open.push(element);
    }
  }
  if (open.length > 1) throw new Error(`<${open.at(-1)!.name}> is never closed`);
  if (root.children.length !== 1) throw new Error(`expected one root, found ${root.children.length}`);
  return root.children[0]!;
}

/** Every element of that name, in the order of the document. */
export function all(element: Element, name: string): Element[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...all(child, name)]);
}
