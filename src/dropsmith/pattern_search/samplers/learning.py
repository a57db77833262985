"""The controller's settings, and the policy gradient it follows (Williams 1992).

A trial that finishes late was proposed by an older policy, and each trial serves several updates.
So its term is weighted by how much more probable its tokens are now than then; without a limit on
the weight, the gradient is that of the expected score under the present policy, as long as every
plan could be drawn: where tried plans are not drawn again, their part is missing from it.
"""

from dataclasses import dataclass

from torch import Tensor

from dropsmith.errors import SearchError, excerpt
from dropsmith.numbers import check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Settings of the controller's learning; every default is ours.

    Args:
        width, layers, heads: of the Transformer.
        temperature: scores of values are divided by it before they become chances.
        rate: Adam's learning rate.
        warmup: trials with a score before the first update: of two or three, the spread that
            advantages are measured in is luck.
        every: trials with a score from one update to the next.
        steps: gradient steps of an update.
        memory: how many of the last trials with a score an update learns from.
        decay: of the moving average of scores that is the baseline.
        entropy: weight of the entropy of the choices, which keeps it from settling early.
        clip: the largest weight of a trial of an older policy, see `importance_weights`.
        distinct: from how many of the last trials a proposal differs, while there is anything
            else; 0 lets it repeat what was tried. Each costs a row of the Transformer's batch.
    """

    width: int = 32
    layers: int = 1
    heads: int = 4
    temperature: float = 1.0
    rate: float = 3e-3
    warmup: int = 8
    every: int = 1
    steps: int = 2
    memory: int = 48
    decay: float = 0.9
    entropy: float = 0.01
    clip: float | None = 2.0
    distinct: int = 1000

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "warmup", "every", "steps", "memory", "distinct"):
            value, minimum = getattr(self, name), 0 if name == "distinct" else 1
            check_whole(name, value, minimum, SearchError)
        if self.width % self.heads:
            raise SearchError(
                f"width must be a multiple of heads, got width={self.width} and heads={self.heads}"
            )
        for name in ("temperature", "rate", "decay", "entropy", "clip"):
            if name != "clip" or self.clip is not None:
                check_number(name, getattr(self, name), SearchError)
        for name in ("temperature", "rate"):
            if not getattr(self, name) > 0:
                raise SearchError(f"{name} must be above 0, got {excerpt(getattr(self, name))}")
        if not 0 <= self.decay < 1:
            raise SearchError(f"decay must be in [0, 1), got {excerpt(self.decay)}")
        if self.clip is not None and self.clip < 1:
            raise SearchError(f"clip must be 1 or more, or None, got {excerpt(self.clip)}")


def importance_weights(present: Tensor, old_log_probability: Tensor, clip: float | None) -> Tensor:
    """The ratio of the tokens' present probability to that at their proposal, at most `clip`.

    Args:
        present: log-probabilities `[batch]` under the present policy.
        old_log_probability: those with which they were proposed.
        clip: the largest weight; None leaves them unbiased, and of unbounded variance.
    """
    ratio = (present.detach() - old_log_probability).exp()
    return ratio if clip is None else ratio.clamp(max=clip)


def advantages(scores: Tensor, baseline: float) -> Tensor:
    """The scores above the baseline, in units of their standard deviation."""
    spread = scores.std(correction=0)
    return (scores - baseline) / spread.where(spread > 0, 1.0)


def entropy(log_probabilities: Tensor) -> Tensor:
    """The entropy of a sequence's choices, summed over them, averaged over the batch.

    Args:
        log_probabilities: `[batch, choice, value]`, minus infinity where there is no value.
    """
    finite = log_probabilities.where(log_probabilities.isfinite(), 0.0)
    return -(log_probabilities.exp() * finite).sum((-1, -2)).mean()


def surrogate(log_probability: Tensor, weight: Tensor, advantage: Tensor) -> Tensor:
    """A scalar whose gradient is the policy gradient; its value means nothing."""
    return (weight * advantage * log_probability).mean()
