"""The outcome of many noisy passes over one batch, as a value, and the sums it comes from.

Nothing grows with the number of samples: means and squared deviations are carried along sample by
sample (Welford, 1962), in float32, or float64 where the model computes in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dropsmith.batches import alike_within
from dropsmith.errors import MissingExtra, NoiseError, did_you_mean, excerpt
from dropsmith.prediction.frame import Table, prediction_table
from dropsmith.terms import OUTPUT_KINDS, OutputKind, output_kind

if TYPE_CHECKING:
    from pandas import DataFrame

_ROUNDING_UNITS = 64
"""Units in the last place of the largest score that rounding may come to."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """The average of many samples of a model's noise, and how far they disagree.

    Entropies are in nats. `entropy` is what is unsure in all; `expected_entropy` the part that each
    sample is unsure about by itself (noise in the data); `mutual_information`, their difference,
    the part on which the samples disagree (what the model does not know; Houlsby et al. 2011).

    Args:
        kind: `classification` (softmax over the classes), `multi_label` (a sigmoid each) or
            `regression`.
        mean: probabilities, or values for regression: `[batch, ..., classes]`.
        variance: of the samples around their mean; same shape. Independent samples are divided by
            their number less one. Stratified ones keep away from each other, and their squared
            deviations are too large by a factor of up to samples / (samples - 1): they are divided
            by their number. NaN where there is one pass alone.
        entropy: of the mean: `[batch, ...]` for classes, the shape of `mean` for labels, None for
            values, which have no distribution.
        expected_entropy: mean of the samples' entropies; shaped alike.
        mutual_information: between the outcome and the noise, never negative; shaped alike. None,
            as `expected_entropy`, where there is one pass alone: nothing then tells it.
        samples: how many passes were averaged; 1 for one pass without noise.
        draws: every sample, `[samples, batch, ..., classes]`, where they were kept.
        class_axis: the dimension of `mean` that has the classes; None where there are none.
        names: of the inputs, where they have some.
        classes: names of the classes, where they are known.
    """

    kind: OutputKind
    mean: Tensor
    variance: Tensor
    entropy: Tensor | None
    expected_entropy: Tensor | None
    mutual_information: Tensor | None
    samples: int
    draws: Tensor | None = None
    class_axis: int | None = None
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def to_frame(self) -> "DataFrame":
        """A `pandas.DataFrame` with a row for each input.

        Its columns are `id`, the name of the input or its number from 1; `prediction`; then of
        classes `probability_…` for each, `entropy` and `mutual_information` in nats; of values
        `standard_deviation`, that of the samples.

        >>> import dropsmith as ds
        >>> _ = torch.manual_seed(0)
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))
        >>> frame = ds.predict(net, torch.randn(3, 4), samples=20).to_frame()
        >>> list(frame.columns)  # doctest: +NORMALIZE_WHITESPACE
        ['id', 'prediction', 'probability_0', 'probability_1', 'entropy', 'mutual_information']

        Raises:
            MissingExtra: pandas is not installed.
            DataError: there are several predictions for an input, such as one for each pixel.
        """
        table = self.to_table()
        try:
            import pandas
        except ImportError:
            raise MissingExtra("to_frame", "pandas", "tables") from None
        return pandas.DataFrame(table)

    def to_table(self) -> Table:
        """The columns of `to_frame` by name, as lists; None stands where a number is not known.

        Raises:
            DataError: there are several predictions for an input, such as one for each pixel.
        """
        return prediction_table(
            self.kind,
            self.mean,
            variance=self.variance,
            entropy=self.entropy,
            information=self.mutual_information,
            names=self.names,
            classes=self.classes,
        )


def join_predictions(predictions: Sequence[Prediction]) -> Prediction:
    """The prediction of several batches, made alike, as one.

    >>> import dropsmith as ds
    >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))
    >>> parts = [ds.predict(net, batch, samples=5) for batch in torch.ones(6, 4).split(4)]
    >>> join_predictions(parts).mean.shape
    torch.Size([6, 2])
    """
    tensors = ("mean", "variance", "entropy", "expected_entropy", "mutual_information")
    columns = {name: [getattr(part, name) for part in predictions] for name in tensors}
    draws = [part.draws for part in predictions if part.draws is not None]
    return replace(
        predictions[0],
        names=tuple(name for part in predictions for name in part.names),
        draws=torch.cat(draws, dim=1) if draws else None,
        **{name: None if parts[0] is None else torch.cat(parts) for name, parts in columns.items()},
    )


def one_pass(logits: Tensor, kind: OutputKind, class_axis: int = -1) -> Prediction:
    """The prediction of scores that one pass without noise returned.

    >>> prediction = one_pass(torch.zeros(1, 2), "classification")
    >>> prediction.mean, prediction.mutual_information
    (tensor([[0.5000, 0.5000]]), None)
    """
    moments = Moments(kind, class_axis=class_axis)
    moments.add(logits)
    prediction = moments.prediction()
    return replace(
        prediction,
        variance=torch.full_like(prediction.variance, float("nan")),
        expected_entropy=None,
        mutual_information=None,
    )


class Moments:
    """Sums over the samples so far.

    Args:
        kind: what the outputs are.
        keep: whether to hold on to every sample.
        class_axis: the dimension of the scores that has the classes.
        stratified: whether the samples' masks are.
    """

    def __init__(
        self,
        kind: OutputKind,
        keep: bool = False,
        class_axis: int = -1,
        stratified: bool = False,
    ) -> None:
        kind = output_kind(kind)
        if kind not in OUTPUT_KINDS:
            raise NoiseError(
                f"predict: no kind of output is called {excerpt(kind)}\n"
                f"  there are: {', '.join(OUTPUT_KINDS)}" + did_you_mean(kind, OUTPUT_KINDS)
            )
        self.kind: OutputKind = kind
        self.stratified = stratified
        self.class_axis = class_axis
        self.count = 0
        self.differ = False
        self.first = self.mean = self.squares = self.entropies = torch.zeros(())
        self.draws: list[Tensor] | None = [] if keep else None

    def add(self, logits: Tensor) -> None:
        """Take in the scores of one sample."""
        sample, entropy = _read(logits, self.kind, self.class_axis)
        if not self.count:
            self.first = logits.clone()
            self.mean, self.squares = torch.zeros_like(sample), torch.zeros_like(sample)
            self.entropies = torch.zeros_like(entropy)
        elif not self.differ:
            rounding = _ROUNDING_UNITS * torch.finfo(logits.dtype).eps
            self.differ = not alike_within(logits, self.first, rounding)
        self.count += 1
        away = sample - self.mean
        self.mean += away / self.count
        self.squares += away * (sample - self.mean)
        self.entropies += (entropy - self.entropies) / self.count
        if self.draws is not None:
            self.draws.append(sample)

    def add_block(self, logits: Tensor) -> None:
        """Take in the scores of several samples, `[samples, ...]` (Chan, Golub & LeVeque, 1983)."""
        if len(logits) < 2 or not self.count:
            self.add(logits[0])
            if len(logits) > 1:
                self.add_block(logits[1:])
            return
        axis = self.class_axis if self.class_axis < 0 else self.class_axis + 1
        block, entropy = _read(logits, self.kind, axis)
        count, total = len(block), self.count + len(block)
        rounding = _ROUNDING_UNITS * torch.finfo(logits.dtype).eps
        self.differ = self.differ or not all(
            alike_within(sample, self.first, rounding) for sample in logits
        )
        mean = block.mean(0)
        away = mean - self.mean
        self.squares += (block - mean).square_().sum(0) + away.square() * (
            self.count * count / total
        )
        self.mean += away * (count / total)
        if entropy.ndim:
            self.entropies += (entropy.mean(0) - self.entropies) * (count / total)
        self.count = total
        if self.draws is not None:
            self.draws += list(block)

    def prediction(self) -> Prediction:
        """The prediction that the samples so far amount to."""
        unsure = _entropy(self.mean, self.kind, self.class_axis)
        has = self.kind != "regression"
        return Prediction(
            kind=self.kind,
            mean=self.mean,
            variance=self.squares / max(self.count - (not self.stratified), 1),
            entropy=unsure if has else None,
            expected_entropy=self.entropies if has else None,
            # Jensen's inequality; rounding alone could bring it below zero.
            mutual_information=(unsure - self.entropies).clamp(min=0) if has else None,
            samples=self.count,
            draws=torch.stack(self.draws) if self.draws is not None else None,
            class_axis=self.class_axis if self.kind == "classification" else None,
        )


def _read(logits: Tensor, kind: OutputKind, axis: int) -> tuple[Tensor, Tensor]:
    scores = logits if logits.dtype == torch.float64 else logits.float()
    if kind == "regression":
        return scores, scores.new_zeros(())
    mean = scores.softmax(axis) if kind == "classification" else scores.sigmoid()
    return mean, _entropy(mean, kind, axis)


def _entropy(probability: Tensor, kind: OutputKind, axis: int) -> Tensor:
    if kind == "classification":
        return torch.special.entr(probability).sum(axis)
    if kind == "multi_label":
        return torch.special.entr(probability) + torch.special.entr(1 - probability)
    return probability.new_zeros(())
