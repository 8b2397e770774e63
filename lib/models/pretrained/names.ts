// Which tensor of a Hugging Face checkpoint is which of our parameters: a table of module paths for each family.

/**
 * Our path, then Hugging Face's: of a parameter, or of a module whose parameters have the same last names on both sides. `{}` stands
 * for a number, the same on both sides.
 *
 * @example ['backbone.blocks.{}.attention.qkv', 'h.{}.attn.c_attn']
 */
export type NameRule = readonly [ours: string, theirs: string];

/** Hugging Face's name of the parameter `path`; null where no rule speaks of it. */
export function theirName(rules: readonly NameRule[], path: string): string | null {
  const whole = translate(rules, path);
  if (whole !== null) return whole;
  const dot = path.lastIndexOf('.');
  const module = translate(rules, path.slice(0, dot));
  return module === null ? null : module + path.slice(dot);
}

/** Whether `name` is one that the right sides of `rules` can give. */
export function isTheirs(rules: readonly NameRule[], name: string): boolean {
  return rules.some(([, theirs]) => pattern(theirs, '(\\.[^.]+)?').test(name));
}

function translate(rules: readonly NameRule[], path: string): string | null {
  for (const [ours, theirs] of rules) {
    const match = pattern(ours).exec(path);
    if (match === null) continue;
    let k = 0;
    return theirs.replace(/\{\}/g, () => match[++k] as string);
  }
  return null;
}

function pattern(template: string, end = ''): RegExp {
  const escaped = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\}/g, '(\\d+)');
  return new RegExp(`^${escaped}${end}$`);
}
