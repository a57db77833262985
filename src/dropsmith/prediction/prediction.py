"""The outcome of many noisy passes over one batch, as a value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dropsmith.errors import DataError, MissingExtra
from dropsmith.prediction.frame import Table, prediction_table
from dropsmith.prediction.intervals import normal_interval, quantile_interval
from dropsmith.prediction.kinds import PredictionKind
from dropsmith.prediction.padding import average_rows

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """The average of many samples of a model's noise, and how far they disagree.

    Entropies are in nats. `entropy` is what is unsure in all; `expected_entropy` the part that each
    sample is unsure about by itself (noise in the data); `mutual_information`, their difference,
    the part on which the samples disagree (what the model does not know; Houlsby et al. 2011).

    Where a model predicts a variance beside its mean, `variance` is what the model does not know,
    `data_variance` the noise in the data, and `total_variance` their sum (Kendall & Gal, 2017,
    equation 9).

    Args:
        kind: of the outputs; see `prediction.PredictionKind`.
        mean: probabilities, or values: `[batch, ..., classes]`. Of `quantile` outputs the mean of
            each quantile.
        variance: of the samples around their mean; same shape. Independent samples are divided by
            their number less one. Stratified ones keep away from each other, and their squared
            deviations are too large by a factor of up to samples / (samples - 1): they are divided
            by their number. NaN where there is one pass alone.
        entropy: of the mean: `[batch, ...]` for classes, the shape of `mean` for labels, None for
            values.
        expected_entropy: mean of the samples' entropies; shaped alike.
        mutual_information: between the outcome and the noise, never negative; shaped alike. None,
            as `expected_entropy`, where there is one pass alone: nothing then tells it.
        samples: how many passes were averaged; 1 for one pass without noise.
        draws: every sample, `[samples, batch, ..., classes]`, where they were kept.
        data_variance: of `gaussian` outputs, the mean of the variances that the samples predict.
        data_draws: of `gaussian` outputs, the variance that every sample predicts, where they were
            kept.
        class_axis: the dimension of `mean` that has the classes, or the quantiles; None where
            there are none.
        quantiles: of `quantile` outputs, in the order of that dimension.
        mask: True for the items that count, `[batch, ...]`, and False for padding; None where all
            count.
        row_axis: the dimension that counts the inputs; 1 where time comes first.
        names: of the inputs, where they have some.
        classes: names of the classes, where they are known.
    """

    kind: PredictionKind
    mean: Tensor
    variance: Tensor
    entropy: Tensor | None
    expected_entropy: Tensor | None
    mutual_information: Tensor | None
    samples: int
    draws: Tensor | None = None
    data_variance: Tensor | None = None
    data_draws: Tensor | None = None
    class_axis: int | None = None
    quantiles: tuple[float, ...] = ()
    mask: Tensor | None = None
    row_axis: int = 0
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def total_variance(self) -> Tensor | None:
        """`variance` and `data_variance` together; None where no variance is predicted."""
        return None if self.data_variance is None else self.variance + self.data_variance

    def interval(
        self, level: float = 0.95, *, data_variance: float | Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The lower and the upper end of an interval in which a new value lies.

        Of `gaussian` outputs, that of a normal distribution of the mean and the total variance. Of
        `quantile` outputs, the mean quantiles at (1 - level) / 2 and (1 + level) / 2, in the order
        of their size where they cross (Chernozhukov, Fernández-Val & Galichon, 2010).

        >>> import dropsmith as ds
        >>> _ = torch.manual_seed(0)
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
        >>> prediction = ds.predict(net, torch.ones(3, 4), samples=20, kind="regression")
        >>> lower, upper = prediction.interval(0.9, data_variance=0.25)
        >>> bool((lower < prediction.mean).all() and (prediction.mean < upper).all())
        True

        Args:
            level: the share of new values that should lie in it, between 0 and 1.
            data_variance: the variance of the noise in the data, for a model of `regression`,
                which does not predict it (the inverse of the model precision of Gal & Ghahramani,
                2016, equation 7); 0 for an interval of the mean alone.

        Raises:
            NoiseError: the outputs have no interval, lack the quantiles, or nothing says how large
                the noise in the data is.
        """
        if self.kind == "quantile":
            return quantile_interval(self.mean, self.class_axis, self.quantiles, level)
        noise = self.data_variance if data_variance is None else data_variance
        return normal_interval(self.kind, self.mean, self.variance, noise, level)

    def average(self, values: Tensor) -> Tensor:
        """The mean of some numbers over the items of each input, `[batch]`; padding left out.

        >>> import dropsmith as ds
        >>> _ = torch.manual_seed(0)
        >>> tagger = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 3))
        >>> words, kept = torch.randn(2, 5, 4), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
        >>> prediction = ds.predict(tagger, words, samples=8, mask=kept.bool())
        >>> prediction.average(prediction.entropy).shape
        torch.Size([2])

        Args:
            values: of each item, such as `prediction.entropy`: `[batch, ...]`, with the dimensions
                of `mask` first. An input of which nothing counts has not-a-number.
        """
        axis = self.item_row_axis
        mask = None if self.mask is None else self.mask.movedim(axis, 0)
        return average_rows(values.movedim(axis, 0), mask)

    @property
    def item_row_axis(self) -> int:
        """The dimension that counts the inputs in what has no dimension of classes."""
        axis = self.class_axis
        before = axis is not None and axis % self.mean.ndim < self.row_axis
        return self.row_axis - 1 if before else self.row_axis

    def to_frame(self) -> "DataFrame":
        """A `pandas.DataFrame` with a row for each input, or for each item of an input.

        Its columns are `id`, the name of the input or its number from 1; where an input has several
        items, such as words or pixels, `item`, their place from 0 (or `item_0`, `item_1`, … for
        rows, columns, …), without padding; `prediction`; then of classes `probability_…` for each,
        `entropy` and `mutual_information` in nats; of values `standard_deviation`, that of the
        samples, and where the model predicts a variance `data_deviation` and `total_deviation`; of
        quantiles `quantile_…` for each and their deviations.

        >>> import dropsmith as ds
        >>> _ = torch.manual_seed(0)
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))
        >>> frame = ds.predict(net, torch.randn(3, 4), samples=20).to_frame()
        >>> list(frame.columns)  # doctest: +NORMALIZE_WHITESPACE
        ['id', 'prediction', 'probability_0', 'probability_1', 'entropy', 'mutual_information']

        Raises:
            MissingExtra: pandas is not installed.
        """
        table = self.to_table()
        try:
            import pandas
        except ImportError:
            raise MissingExtra("to_frame", "pandas", "tables") from None
        return pandas.DataFrame(table)

    def to_table(self) -> Table:
        """The columns of `to_frame` by name, as lists; None stands where a number is not known."""
        return prediction_table(self)


_TENSORS = (
    *("mean", "variance", "entropy", "expected_entropy", "mutual_information"),
    *("data_variance", "mask"),
)


def join_predictions(predictions: Sequence[Prediction]) -> Prediction:
    """The prediction of several batches, made alike, as one.

    Its `samples` are those of the batch with the fewest, where `samples="auto"` drew more for some.

    >>> import dropsmith as ds
    >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 2))
    >>> parts = [ds.predict(net, batch, samples=5) for batch in torch.ones(6, 4).split(4)]
    >>> join_predictions(parts).mean.shape
    torch.Size([6, 2])

    Raises:
        DataError: inputs of one batch have more items than those of another, such as words; or
            the samples were kept, and one batch has more of them.
    """
    axis = predictions[0].row_axis
    shapes = {(*part.mean.shape[:axis], *part.mean.shape[axis + 1 :]) for part in predictions}
    if len(shapes) > 1:
        raise DataError(
            "predictions of inputs of several sizes cannot be joined: "
            f"{' and '.join(map(str, sorted(shapes)))}\n"
            "  pad the inputs to one length, or keep the predictions of the batches apart"
        )
    columns = {name: [getattr(part, name) for part in predictions] for name in _TENSORS}
    columns["mask"] = _masks(predictions)
    joined = {
        name: None if parts[0] is None else torch.cat(parts, axis)
        for name, parts in columns.items()
    }
    for name in ("draws", "data_draws"):
        draws = [getattr(part, name) for part in predictions]
        if draws[0] is not None and len({len(part) for part in draws}) > 1:
            raise DataError(
                "samples that were kept cannot be joined where one batch has more of them than "
                "another\n  give a number of samples in place of samples='auto'"
            )
        joined[name] = None if draws[0] is None else torch.cat(draws, dim=axis + 1)
    names = tuple(name for part in predictions for name in part.names)
    samples = min(part.samples for part in predictions)
    return replace(predictions[0], names=names, samples=samples, **joined)


def _class_dim(prediction: Prediction) -> int | None:
    axis = prediction.class_axis
    return None if axis is None else axis % prediction.mean.ndim


def _masks(predictions: Sequence[Prediction]) -> list[Tensor | None]:
    """The masks of predictions, those that leave nothing out too where some have one."""
    masks = [part.mask for part in predictions]
    first = next((mask for mask in masks if mask is not None), None)
    if first is None:
        return masks
    sizes = [
        [size for dim, size in enumerate(part.mean.shape) if dim != _class_dim(part)]
        for part in predictions
    ]
    whole = [first.new_ones(items[: first.ndim]) for items in sizes]
    return [full if mask is None else mask for mask, full in zip(masks, whole, strict=True)]
