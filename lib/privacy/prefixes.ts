// How options name parameters: prefixes of dotted paths.

/** «blocks.0» takes «blocks.0.linear.weight» and not «blocks.01.weight». */
export function within(prefix: string, name: string): boolean {
  return name === prefix || name.startsWith(`${prefix}.`);
}

/** At least one prefix, none of them empty. */
export function isPrefixes(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string' && one !== '');
}
