"""The samples that a file is to draw."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropsmith.batches import Arguments
from dropsmith.noise import RowAxes
from dropsmith.plans import Plan
from dropsmith.prediction import HeadOptions, Prediction, Sampler, predict, sampling


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The samples that a file is to draw, and how its scores are read.

    Args:
        plan: noise beside the model's own, in place of the plan that is installed.
        rows: the axes on which arguments have their rows, where somebody says them.
        heads: what the model's outputs are, as `predict` takes it.
        samples: how many one call averages; None for one a call.
        strata: how many are stratified together; 0 for none.
    """

    plan: Plan | None
    rows: RowAxes | None
    heads: HeadOptions
    samples: int | None
    strata: int

    @contextmanager
    def sampler(self, model: nn.Module, inputs: Arguments, seed: int) -> Iterator[Sampler]:
        """A sampler of the model, for the length of a `with` block."""
        with sampling(model, inputs, self.plan, seed, self.rows) as sampler:
            sampler.heads, sampler.strata = self.heads.heads(sampler.model), self.strata
            yield sampler

    def predict(
        self, model: nn.Module, batch: Any, seed: int, samples: int, keep: bool = False
    ) -> Prediction:
        """The prediction that a file is to agree with."""
        return predict(
            model,
            batch,
            samples,
            plan=self.plan,
            seed=seed,
            keep=keep,
            kind=self.heads.kind,
            rows=self.rows,
            scores=self.heads.scores,
            class_axis=self.heads.class_axis,
            quantiles=self.heads.quantiles,
            draws="stratified" if self.strata else "independent",
        )
