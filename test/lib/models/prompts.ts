// Prompts as Python's tokenizers lay them out: filled up to the longest, with a mask of what is text.

export interface PaddedPrompt {
  readonly inputIds: readonly number[];
  readonly attentionMask: readonly number[];
}

/** @param side  Where the filling stands; it is a token that texts have as well. */
export function paddedPrompts(prompts: readonly (readonly number[])[], side: 'left' | 'right'): PaddedPrompt[] {
  const width = Math.max(...prompts.map(({ length }) => length));
  const pad = (tokens: readonly number[], filler: number): number[] => {
    const gap = Array.from({ length: width - tokens.length }, () => filler);
    return side === 'left' ? [...gap, ...tokens] : [...tokens, ...gap];
  };
  return prompts.map((tokens) => {
    const mask = tokens.map(() => 1);
    return { inputIds: pad(tokens, 5), attentionMask: pad(mask, 0) };
  });
}
