"""Sums over the samples of a prediction, which do not grow with the number of samples.

Means and squared deviations are carried along sample by sample (Welford, 1962), in float32, or in
float64 where the model computes in it.
"""

from dataclasses import replace

import torch
from torch import Tensor

from dropsmith.batches import alike_within
from dropsmith.prediction.kinds import WITH_CLASSES, PredictionKind, checked_kind
from dropsmith.prediction.prediction import Prediction
from dropsmith.prediction.readings import Reading, Spread, entropy_of, read_scores

_ROUNDING_UNITS = 64
"""Units in the last place of the largest score that rounding may come to."""


class Moments:
    """Sums over the samples so far.

    Args:
        kind: of the outputs.
        keep: whether to hold on to every sample.
        class_axis: the dimension of the scores that has the classes.
        stratified: whether the samples' masks are.
        spread: what the second part of `gaussian` outputs is.
        quantiles: of `quantile` outputs.
        mask: which items count; None where all do.
        row_axis: the dimension of the scores that counts the inputs.
    """

    def __init__(
        self,
        kind: PredictionKind,
        keep: bool = False,
        class_axis: int = -1,
        stratified: bool = False,
        *,
        spread: Spread | None = None,
        quantiles: tuple[float, ...] = (),
        mask: Tensor | None = None,
        row_axis: int = 0,
    ) -> None:
        self.kind: PredictionKind = checked_kind(kind)
        self.keep, self.class_axis, self.stratified = keep, class_axis, stratified
        self.spread: Spread | None = spread
        self.quantiles, self.mask, self.row_axis = quantiles, mask, row_axis
        self.count = 0
        self.differ = False
        self.first: tuple[Tensor, ...] = ()
        self.mean = self.squares = torch.zeros(())
        self.entropies: Tensor | None = None
        self.data_variance: Tensor | None = None
        self.draws: list[Tensor] = []
        self.data_draws: list[Tensor] = []

    @property
    def has_classes(self) -> bool:
        """True where the outputs are a distribution over classes."""
        return self.kind in WITH_CLASSES

    def add(self, *parts: Tensor) -> None:
        """Take in the scores of one sample: of `gaussian` outputs the means and their spread."""
        self.add_block(*(part.unsqueeze(0) for part in parts))

    def add_block(self, *parts: Tensor) -> None:
        """Take in the scores of several samples, `[samples, ...]` (Chan, Golub & LeVeque, 1983)."""
        if not self.count:
            self.first = tuple(part[0].clone() for part in parts)
        self.differ = self.differ or self._differs(parts)
        axis = self.class_axis if self.class_axis < 0 else self.class_axis + 1
        reading = read_scores(parts, self.kind, axis, self.spread)
        values = reading.values
        count, total = len(values), self.count + len(values)
        block = values.mean(0)
        if not self.count:
            self.mean, self.squares = torch.zeros_like(block), torch.zeros_like(block)
        away = block - self.mean
        self.squares += (values - block).square_().sum(0)
        self.squares += away.square() * (self.count * count / total)
        self.mean += away * (count / total)
        self.entropies = _joined(self.entropies, reading.entropy, count / total)
        self.data_variance = _joined(self.data_variance, reading.data_variance, count / total)
        self.count = total
        if self.keep:
            self._keep(reading)

    def prediction(self) -> Prediction:
        """The prediction that the samples so far amount to."""
        entropy = information = None
        if self.entropies is not None:
            entropy = entropy_of(self.mean, self.kind, self.class_axis)
            # Jensen's inequality; rounding alone could bring it below zero.
            information = (entropy - self.entropies).clamp(min=0)
        along_axis = self.has_classes or self.kind == "quantile"
        return Prediction(
            kind=self.kind,
            mean=self.mean,
            variance=self.squares / max(self.count - (not self.stratified), 1),
            entropy=entropy,
            expected_entropy=self.entropies,
            mutual_information=information,
            data_variance=self.data_variance,
            samples=self.count,
            draws=torch.stack(self.draws) if self.keep else None,
            data_draws=torch.stack(self.data_draws) if self.data_draws else None,
            class_axis=self.class_axis if along_axis else None,
            quantiles=self.quantiles,
            mask=self.mask,
            row_axis=self.row_axis,
        )

    def _differs(self, parts: tuple[Tensor, ...]) -> bool:
        for scores, first in zip(parts, self.first, strict=True):
            rounding = _ROUNDING_UNITS * torch.finfo(first.dtype).eps
            others = scores if self.count else scores[1:]  # The very first is `first` itself.
            if not all(alike_within(sample, first, rounding) for sample in others):
                return True
        return False

    def _keep(self, reading: Reading) -> None:
        self.draws += list(reading.values)
        if reading.data_variance is not None:
            self.data_draws += list(reading.data_variance)


def _joined(mean: Tensor | None, block: Tensor | None, share: float) -> Tensor | None:
    """The mean of what was there and of a block, which is this share of the whole."""
    if block is None:
        return None
    block = block.mean(0)
    return block if mean is None else mean + (block - mean) * share


def one_pass(
    logits: Tensor, kind: PredictionKind, class_axis: int = -1, mask: Tensor | None = None
) -> Prediction:
    """The prediction of scores that one pass without noise returned.

    >>> prediction = one_pass(torch.zeros(1, 2), "classification")
    >>> prediction.mean, prediction.mutual_information
    (tensor([[0.5000, 0.5000]]), None)
    """
    moments = Moments(kind, class_axis=class_axis, mask=mask)
    moments.add(logits)
    prediction = moments.prediction()
    return replace(
        prediction,
        variance=torch.full_like(prediction.variance, float("nan")),
        expected_entropy=None,
        mutual_information=None,
    )
