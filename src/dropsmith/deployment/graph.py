"""The module that is exported: a model under sampling, with seed and sample number as inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, Layout
from dropsmith.deployment.inputs import NUMBER, SEED, Columns
from dropsmith.noise import PREDICTION, DrawKeys, ForwardPass, Noise
from dropsmith.prediction import Head, Parts, PredictionKind, entropy_of, read_scores

DRAW, MEAN = "draw", "mean"
_DATA_VARIANCE = "data_variance"

Draws = Mapping[tuple[str, int], int]
"""The draws of one pass by site and number of the call, each with the word of its site."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The meaning of a model's output, and what becomes of it.

    Args:
        head: the output.
        class_axis: the dimension of the classes of one sample's scores.
        row_axis: the dimension of the rows of one sample's scores.
    """

    head: Head
    class_axis: int
    row_axis: int

    @property
    def kind(self) -> PredictionKind:
        """The kind of the output."""
        return self.head.kind

    def draw(self, parts: Parts) -> dict[str, Tensor]:
        """What `predict` keeps of one sample, by name."""
        reading = read_scores(parts, self.kind, self.class_axis, self.head.spread)
        return _present({DRAW: reading.values, _DATA_VARIANCE: reading.data_variance})

    def statistics(self, parts: Parts, stratified: bool) -> dict[str, Tensor]:
        """The numbers of a prediction from the scores of its samples, `[samples, ...]`."""
        axis = self.class_axis if self.class_axis < 0 else self.class_axis + 1
        values, entropies, variances = read_scores(parts, self.kind, axis, self.head.spread)
        mean = values.mean(0)
        if entropies is None:
            divisor = max(len(values) - (not stratified), 1)
            variance = (values - mean).square().sum(0) / divisor
            data_variance = None if variances is None else variances.mean(0)
            return _present({MEAN: mean, "variance": variance, _DATA_VARIANCE: data_variance})
        entropy = entropy_of(mean, self.kind, self.class_axis)
        information = (entropy - entropies.mean(0)).clamp(min=0)
        return {MEAN: mean, "entropy": entropy, "mutual_information": information}

    def outputs(self, samples: int | None) -> tuple[str, ...]:
        """The names of what a graph returns."""
        more = (_DATA_VARIANCE,) if self.kind == "gaussian" else ()
        if samples is None:
            return (DRAW, *more)
        if self.kind in ("regression", "gaussian", "quantile"):
            return (MEAN, "variance", *more)
        return (MEAN, "entropy", "mutual_information")


def _present(values: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {name: value for name, value in values.items() if value is not None}


Outputs = tuple[Tensor, ...]


class Sampled(nn.Module):
    """A model whose forward takes seed and number of a sample, beside the tensors of a batch.

    Args:
        model: in eval mode, with all noise installed.
        noise: its state.
        columns: its inputs.
        reading: of its scores.
        draws: of one pass.
        step: the training step to draw for.
        strata: how many samples are stratified together; 0 for none.
        samples: how many are averaged in one call; None for one sample, as it is.
        layout: of the batch, where samples are stacked.
    """

    def __init__(
        self,
        model: nn.Module,
        noise: Noise,
        columns: Columns,
        reading: Reading,
        draws: Draws,
        step: int,
        strata: int,
        samples: int | None,
        layout: Layout,
    ) -> None:
        super().__init__()
        self.model, self.noise, self.columns, self.reading = model, noise, columns, reading
        self.draws, self.step, self.strata = draws, step, strata
        self.samples, self.layout = samples, layout
        self.forward = self._by_name()

    def _by_name(self) -> Callable[..., Outputs]:
        """The forward, whose signature has the names of the inputs: torch asks for them."""
        names = (SEED, NUMBER, *self.columns.names)
        signature = Signature([Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in names])

        def forward(*args: Tensor, **kwargs: Tensor) -> Outputs:
            tensors = dict(signature.bind(*args, **kwargs).arguments)
            return self.run(tensors.pop(SEED), tensors.pop(NUMBER), tensors)

        forward.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
        return forward

    def run(self, seed: Tensor, number: Tensor, tensors: Mapping[str, Tensor]) -> Outputs:
        """One draw; or the numbers of a prediction of `samples` draws, from `number` on."""
        inputs = self.columns.arguments(tensors)
        if self.samples is None:
            return tuple(self.reading.draw(self._scores(seed, number, (0,), inputs)).values())
        count, axis = self.samples, self.reading.row_axis
        numbers = number + torch.arange(count, dtype=torch.int32)
        stacked = self.layout.repeated(inputs, count)
        parts = self._scores(seed, numbers, tuple(range(count)), stacked)
        parts = tuple(part.unflatten(axis, (count, -1)).movedim(axis, 0) for part in parts)
        return tuple(self.reading.statistics(parts, self.strata > 0).values())

    def _scores(
        self, seed: Tensor, views: Tensor, numbers: tuple[int, ...], inputs: Arguments
    ) -> Parts:
        keys = DrawKeys(
            self.draws,
            seed,
            views,
            step=self.step,
            domain=PREDICTION,
            rank=self.noise.rank,
            strata=self.strata,
        )
        forward_pass = ForwardPass(
            views=numbers, domain=PREDICTION, step=self.step, sampling=True, keys=keys
        )
        with self.noise.passing(forward_pass):
            output = self.model(*inputs.args, **inputs.kwargs)
        # Scores that are put off are computed by any operation.
        return tuple(x if type(x) is Tensor else x + 0 for x in self.reading.head.parts(output))
