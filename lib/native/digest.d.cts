/** A digest of the contents of `paths` (files and folders, relative to `root`) and of the strings `facts`. */
export function digestBelow(root: string, paths: readonly string[], facts?: readonly string[]): string;

/** What the CUDA plugin is made of. */
export const PLUGIN_SOURCES: readonly string[];
