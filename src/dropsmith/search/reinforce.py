"""The policy gradient, from proposals of the policy as it was when it made them (Williams 1992).

A trial that finishes late was proposed by an older policy, and each trial serves several updates.
So its term is weighted by how much more probable its tokens are now than then; without a limit on
the weight, the gradient is that of the expected score under the policy of now, as long as every
plan could be drawn: where those that were tried are not drawn again, theirs is missing from it.
"""

from torch import Tensor


def weights(now: Tensor, then: Tensor, clip: float | None) -> Tensor:
    """By how much tokens are more probable now than when they were proposed, at most `clip`.

    Args:
        now: log-probabilities under the policy of now.
        then: those with which they were proposed.
        clip: the largest weight; None leaves them unbiased, and of unbounded variance.
    """
    ratio = (now.detach() - then).exp()
    return ratio if clip is None else ratio.clamp(max=clip)


def advantages(scores: Tensor, baseline: float) -> Tensor:
    """How much better than the baseline, in units of the scores' own spread."""
    spread = scores.std(correction=0)
    return (scores - baseline) / spread.where(spread > 0, 1.0)


def entropy(log_probabilities: Tensor) -> Tensor:
    """The entropy of a sequence's choices, summed over them, averaged over the prefixes given.

    Args:
        log_probabilities: `[batch, choice, value]`, minus infinity where there is no value.
    """
    finite = log_probabilities.where(log_probabilities.isfinite(), 0.0)
    return -(log_probabilities.exp() * finite).sum((-1, -2)).mean()


def expected(now: Tensor, weight: Tensor, advantage: Tensor) -> Tensor:
    """What rises along the policy gradient: its value means nothing, its gradient does."""
    return (weight * advantage * now).mean()
