// The four things that Re-Attention may do to a row of attention weights; kernels and their twins agree on them here.
#pragma once

namespace phantomgrad {

/// With z the logits, S = softmax(z) and p = half the variance of z that the noise of the keys causes (paper, Eq. 20):
///   off           S
///   logit         softmax(z - p): what the paper divides by, divided before the softmax normalises
///   paper         S e^-p, rows no longer sum to 1
///   second_order  softmax(z - p (1 - 2 S)): cancels the second-order bias of the softmax itself
/// p counts as a constant in all gradients.
enum class Correction { off, logit, paper, second_order };

}  // namespace phantomgrad
