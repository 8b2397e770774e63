// The language model of the benchmark: a GPT with tied table, pre-norm blocks and GELU, built from the library's own layers.

/** @param library phantomgrad itself, so that this file decides nothing about where it comes from. */
export function makeGpt({ nn, tidy, fromTypedArray }, { items, maxLength, dim, blocks, heads }) {
  class Gpt extends nn.Module {
    constructor() {
      super();
      this.words = new nn.Embedding(items + 1, dim);
      this.positions = new nn.Embedding(maxLength, dim);
      this.blocks = Array.from(
        { length: blocks },
        () => new nn.TransformerBlock({ dim, heads, norm: 'pre', activation: 'gelu' }),
      );
      this.last = new nn.LayerNorm(dim);
    }

    packing() {
      return { maxLength, targets: 'all', bytesPerRow: 4 * (items + 1 + blocks * 30 * dim) };
    }

    loss(batch) {
      const segments = nn.Segments.of(batch);
      try {
        return nn.withSegments(segments, () =>
          tidy(() => {
            const rows = (values) => fromTypedArray(values, [batch.rows]);
            const embedded = this.words.forward(rows(batch.ids)).add(this.positions.forward(rows(batch.positions)));
            const hidden = this.last.forward(this.blocks.reduce((x, block) => block.forward(x), embedded));
            return nn.softmaxCrossEntropy(hidden, this.words.weight, rows(batch.targets), { mean: true });
          }),
        );
      } finally {
        segments.dispose();
      }
    }
  }
  return new Gpt();
}
