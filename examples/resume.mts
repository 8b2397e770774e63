// A private run that may be stopped at any time, by Ctrl-C, a crash or a power cut: start it again, and it goes on.
import { data, models, optim, privacy, tidy } from 'phantomgrad';

const { train } = data.syntheticInteractions({ users: 400 }).split();
const model = new models.SequentialTransformer({ items: train.itemCount, dim: 16, blocks: 1, maxLength: 20 });
const engine = new privacy.PrivacyEngine(model, {
  records: train.length,
  epochs: 5,
  recoverySteps: 5, // of noise for steps that a crash loses
  target: { epsilon: 8 },
  sampler: privacy.poisson({ batchSize: 100 }),
  clip: privacy.normalize({ maxGradNorm: 1 }),
});
const optimizer = engine.attach(optim.adam(model.parameters(), { lr: 1e-2 }));
const checkpoint = engine.checkpoint('resume-checkpoint', { data: train, every: 5, resume: 'auto' });
console.log(
  `begins after step ${engine.steps} of ${engine.plan.steps}; ${engine.lostSteps} were lost and stay paid for`,
);
for (const batch of engine.batches(train)) {
  tidy(() => optimizer.step({ loss: model.loss(batch) }));
}
checkpoint.close();
console.log(JSON.stringify(engine.privacySpent()));
