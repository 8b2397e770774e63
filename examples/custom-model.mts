// Own layers, own batches: a classifier of made-up points, trained privately over a loop of one's own.
import { nn, optim, privacy, tensor, tidy, torch, type Tensor } from 'phantomgrad';

class Classifier extends nn.Module {
  readonly layers = new nn.Sequential(new nn.Linear(2, 16), nn.relu, new nn.Linear(16, 1));
  readonly temperature = new nn.Parameter(torch.ones([1]));

  // Any LibTorch operator may stand between trainable ones; a parameter used by one is asked for a copy a sample.
  forward(points: Tensor): Tensor {
    const scale = nn.perSample(this.temperature, points.shape[0] as number);
    return this.layers.forward(points).mul(scale).squeeze(1);
  }
}

const RECORDS = 512;
const points = Array.from({ length: RECORDS }, (_, i) => [Math.cos(i) * (1 + (i % 2)), Math.sin(i) * (1 + (i % 2))]);
const labels = Array.from({ length: RECORDS }, (_, i) => i % 2); // 1 on the outer circle

const model = new Classifier();
const engine = new privacy.PrivacyEngine(model, {
  records: RECORDS,
  steps: 60,
  noiseMultiplier: 4,
  delta: 1e-5,
  sampler: privacy.external({ batchSize: 256 }), // the loop below draws: charged without amplification by sampling
  clip: privacy.abadi({ maxGradNorm: 1 }),
});
const optimizer = engine.attach(optim.adam(model.parameters(), { lr: 0.02 }));

for (let step = 0; step < 60; step++) {
  const half = Array.from({ length: RECORDS / 2 }, (_, i) => 2 * i + (step % 2 === 0 ? i % 2 : 1 - (i % 2)));
  tidy(() => {
    const x = tensor(half.map((i) => points[i] as number[]));
    const y = tensor(half.map((i) => labels[i] as number));
    optimizer.step({ loss: nn.binaryCrossEntropy(model.forward(x), y) }); // [samples]: never averaged over the batch
  });
}
engine.close();

model.eval();
const right = tidy(() => {
  const scores = model.forward(tensor(points)).toArray() as number[];
  return scores.filter((score, i) => score > 0 === (labels[i] === 1)).length;
});
console.log(JSON.stringify({ accuracy: right / RECORDS, ...engine.privacySpent() }));
