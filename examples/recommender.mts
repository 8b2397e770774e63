import { data, evaluate, models, optim, privacy } from 'phantomgrad';

const users = await data.interactions('ratings.dat'); // one time-ordered sequence per user
const { train, test } = users.split(); // last item of each user held out
const model = new models.SequentialTransformer({
  items: users.itemCount,
  dim: 64,
  blocks: 2,
  heads: 1,
  maxLength: 200,
  reAttention: true,
});
const engine = new privacy.PrivacyEngine(model, {
  records: train.length,
  epochs: 100,
  target: { epsilon: 8, delta: 1e-6 },
  sampler: privacy.poisson({ batchSize: 1024 }),
  clip: privacy.normalize({ maxGradNorm: 1 }),
  frequencies: privacy.frequencies.privateHistogram(), // what Re-Attention may know of the items: charged as well
});
const optimizer = engine.attach(optim.adam(model.parameters(), { lr: 3e-3, weightDecay: 1e-5 }));
for (const batch of engine.batches(train)) optimizer.step({ loss: model.loss(batch) }); // one loss entry per user
console.log(engine.privacySpent(), evaluate(model, test, { k: 10 }));
