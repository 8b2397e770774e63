// A model of one's own, private from end to end: which of two rhythms does a noisy sensor record?
import { nn, optim, privacy, setNumThreads, tensor, tidy, torch, type Tensor } from 'phantomgrad';

const [CHANNELS, LENGTH, WIDTH] = [2, 16, 8];

class RhythmClassifier extends nn.Module {
  readonly filter = new nn.Conv1d(CHANNELS, WIDTH, 3, { padding: 1 });
  readonly norm = new nn.RMSNorm(WIDTH);
  readonly mix = new nn.Linear(WIDTH, WIDTH);
  readonly memory = new nn.GRU(WIDTH, 2 * WIDTH);
  readonly score = new nn.Linear(2 * WIDTH, 1);
  readonly temperature = new nn.Parameter(torch.ones([]));

  // Layers of nn know their per-sample gradients, however often they are called; between them any LibTorch operator may stand.
  forward(recordings: Tensor): Tensor {
    let x = this.filter.forward(recordings).relu().transpose(1, 2); // [B, LENGTH, WIDTH]
    for (let pass = 0; pass < 2; pass++) x = x.add(this.mix.forward(this.norm.forward(x)).tanh());
    const { hidden } = this.memory.forward(x); // [1, B, 2 WIDTH]
    const scores = this.score.forward(hidden.squeeze(0)).squeeze(1); // [B]
    // A bare scores.mul(this.temperature) is refused with ERR_NO_GRADIENT_RULE: its gradient would not be clipped.
    return nn.affine(scores, this.temperature);
  }
}

// Made-up recordings: rhythm 1 is twice as fast as rhythm 0, each begins anywhere, and there is noise.
let state = 1;
const uniform = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
const normal = (): number => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());

interface Recording {
  readonly values: number[][]; // [CHANNELS][LENGTH]
  readonly label: number;
}

function record(): Recording {
  const [label, phase] = [uniform() < 0.5 ? 0 : 1, 2 * Math.PI * uniform()];
  const angle = (t: number): number => phase + (2 * Math.PI * (label + 1) * t) / LENGTH;
  const wave = (turn: number): number[] =>
    Array.from({ length: LENGTH }, (_, t) => Math.sin(angle(t) + turn) + 0.5 * normal());
  return { values: [wave(0), wave(Math.PI / 2)], label };
}

const people = Array.from({ length: 1024 }, record); // one recording each
const strangers = Array.from({ length: 512 }, record); // to measure on

// The engine draws records at random, which is what the accountant counts on; data says how the drawn ones are laid out.
const data = {
  length: people.length,
  pack: (recordIds: Int32Array) => [{ samples: recordIds.length, recordIds, completesStep: true }],
};

const inputs = (recordings: readonly Recording[]): Tensor =>
  tensor(Float32Array.from(recordings.flatMap(({ values }) => values.flat())), {
    shape: [recordings.length, CHANNELS, LENGTH],
  });
const labels = (recordings: readonly Recording[]): Tensor =>
  tensor(Float32Array.from(recordings, ({ label }) => label));

setNumThreads(1); // a model this small loses more to waiting than it gains
const model = new RhythmClassifier();
const engine = new privacy.PrivacyEngine(model, {
  records: people.length,
  steps: 60,
  target: { epsilon: 4, delta: 1e-5 },
  sampler: privacy.poisson({ batchSize: 128 }),
  clip: privacy.abadi({ maxGradNorm: 1 }),
});
const optimizer = engine.attach(optim.adam(model.parameters(), { lr: 0.02 }));

for (const { recordIds } of engine.batches(data)) {
  tidy(() => {
    const drawn = Array.from(recordIds, (id) => people[id] as Recording);
    const scores = model.forward(inputs(drawn));
    optimizer.step({ loss: nn.binaryCrossEntropy(scores, labels(drawn)) }); // [samples]: never averaged over the batch
  });
}
const { epsilon, delta } = engine.privacySpent();
engine.close();

model.eval();
const right = tidy(() => {
  const scores = model.forward(inputs(strangers)).toArray() as number[];
  return scores.filter((score, i) => score > 0 === (strangers[i]?.label === 1)).length;
});
console.log(JSON.stringify({ accuracy: right / strangers.length, epsilon, delta }));
