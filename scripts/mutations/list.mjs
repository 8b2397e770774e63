// Deliberate mistakes, each of which would break a privacy promise or a gradient; `tests` are the suites that should see it.

const OPS = ['test/csrc/ops', 'test/lib/kernels'];
const PRIVACY = ['test/lib/privacy'];

export const mutations = [
  {
    name: 'the cross term of a tied table is dropped',
    file: 'csrc/ops/table.cc',
    from: 'total += s * s * head.norm2[static_cast<size_t>(b)] + 2 * s * cross(in, b);',
    to: 'total += s * s * head.norm2[static_cast<size_t>(b)];',
    tests: OPS,
  },
  {
    name: 'the embedding scale α is left out of norms and sums',
    file: 'csrc/ops/index.h',
    from: 'static_cast<double>(coefficients_.const_data_ptr<T>()[e]) : scale_;',
    to: 'static_cast<double>(coefficients_.const_data_ptr<T>()[e]) : 1.0;',
    tests: OPS,
  },
  {
    name: 'the head scale τ is left out of the hidden rows',
    file: 'csrc/ops/head.cc',
    from: 'head->hidden = at::mul(head->hidden, options.scale);',
    to: '(void)0;',
    tests: OPS,
  },
  {
    name: 'a padding id receives a gradient',
    file: 'csrc/ops/index.h',
    from: 'return ids()[e] != padding_id_;',
    to: 'return ids()[e] != padding_id_ - 1;',
    tests: OPS,
  },
  {
    name: 'a bias counts the rows of the whole batch instead of its sample',
    file: 'csrc/ops/linear.cc',
    from: 'segments_->length(b), p, p,',
    to: 'segments_->rows() - segments_->first(b), p, p,',
    tests: OPS,
  },
  {
    name: 'only the first of several uses of a shared weight enters the norm',
    file: 'csrc/ops/dense.cc',
    from: 'if (uses_.size() > 1) {',
    to: 'if (uses_.size() > 99) {',
    tests: OPS,
  },
  {
    name: 'instantiated gradients of a shared weight overwrite each other',
    file: 'csrc/ops/dense.cc',
    from: 'more = true;',
    to: 'more = false;',
    tests: OPS,
  },
  {
    name: 'a symmetric block of the Gram matrix is counted once',
    file: 'csrc/ops/gram.h',
    from: 'return column < count ? 1.0 : 2.0;',
    to: 'return column < count ? 1.0 : 1.0;',
    tests: OPS,
  },
  {
    name: 'a tile right of the diagonal of the Gram matrix is counted once',
    file: 'csrc/ops/gram.h',
    from: '2 * PG_CALL((wide_dot<T>), x + count',
    to: '1 * PG_CALL((wide_dot<T>), x + count',
    tests: OPS,
  },
  {
    name: 'the certificate is not added to the norm',
    file: 'csrc/ops/dense.cc',
    from: 'rounding<T>(static_cast<double>(std::max(rows, kRunRows)) + 3) * products;',
    to: '0 * products - norm2 * 1e-3;',
    tests: OPS,
  },
  {
    name: 'cancelling samples are not computed again in float64',
    file: 'csrc/ops/book.cc',
    from: 'constexpr double kSlack = 0.004;',
    to: 'constexpr double kSlack = 1e9;',
    tests: OPS,
  },
  {
    name: 'a sample that is not finite is multiplied by 0 instead of left out',
    file: 'csrc/ops/stored.cc',
    from: 'if (factors[b] != 0) add(b, factors[b], sum);',
    to: 'add(b, factors[b], sum);',
    tests: OPS,
  },
  {
    name: 'factors of one group are used for all',
    file: 'csrc/ops/book.cc',
    from: 'factors.begin() + groups_[i] * samples_;',
    to: 'factors.begin();',
    tests: PRIVACY,
  },
  {
    name: 'clip factors are not widened by the slack',
    file: 'lib/privacy/clip/clip.ts',
    from: 'return bound * (1 + slack);',
    to: 'return bound * (1 - slack);',
    tests: PRIVACY,
  },
  {
    name: 'smoothing mass is spread over all columns instead of the live ones',
    file: 'csrc/ops/head.cc',
    from: '          head.live_count,',
    to: '          head.vocabulary(),',
    tests: OPS,
  },
  {
    name: 'the noise counter does not move between steps',
    file: 'csrc/ops/noise_source.cc',
    from: '  ++source.step;\n',
    to: '',
    tests: ['test/csrc', 'test/lib/privacy'],
  },
];
