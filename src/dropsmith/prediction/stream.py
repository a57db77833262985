"""The mean of many noisy passes over batch after batch, each sample with a state of its own."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropsmith.batches import arguments
from dropsmith.errors import NoiseError, excerpt
from dropsmith.noise import plan_of, sites
from dropsmith.patterns import Off
from dropsmith.plans import Kind, Plan, rule, select
from dropsmith.prediction.draws import Draws, strata_of
from dropsmith.prediction.probe import Probe, probe
from dropsmith.prediction.run_samples import budget_of, chunks_of, unwrapped
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.sampling import sampling
from dropsmith.terms import output_kind

Carry = Callable[[Any], Mapping[str, Any]]
"""Takes what the model returned; returns what it is given beside the next batch, rows first."""


class PredictionStream:
    """Reads batches in order and returns the mean over the samples; see `stream_predictions`.

    Args:
        sampler: runs the model.
        samples: how many passes.
        way: in which they may be run.
        carry: what a sample hands on.
        kind: what the scores are.
    """

    def __init__(
        self,
        sampler: Sampler,
        samples: int,
        way: Probe,
        carry: Carry,
        kind: Literal["classification", "regression"],
    ) -> None:
        self.sampler, self.samples, self.way = sampler, samples, way
        self.carry, self.kind = carry, output_kind(kind)
        self.numbers: list[tuple[int, ...]] = []
        self.states: dict[int, dict[str, Any]] = {}

    def read(self, batch: Mapping[str, Tensor], continues: bool) -> Tensor:
        """The logarithm of the mean probabilities, or the mean of values, of one batch.

        Args:
            batch: arguments by name.
            continues: whether each sample starts from the state in which it ended the batch before.
        """
        inputs, layout = arguments(self.sampler.model, batch), self.sampler.layout
        if not continues or not self.numbers:
            self.numbers, self.states = self._parts(layout.argument_rows(inputs)), {}
        total = None
        for index, numbers in enumerate(self.numbers):
            run = self.sampler.plan(inputs, numbers)
            output = self.sampler.output(run, self.states.get(index, {}))
            self.states[index] = dict(self.carry(output))
            part = self._sum(self.sampler.parts(output)[0], len(numbers))
            total = part if total is None else self._add(total, part)
        assert total is not None
        return (
            total - math.log(self.samples)
            if self.kind == "classification"
            else total / self.samples
        )

    def _parts(self, rows: int) -> list[tuple[int, ...]]:
        copies = self.way.copies(rows, budget_of(self.sampler.model))
        return list(chunks_of(range(self.samples), copies))

    def _sum(self, scores: Tensor, copies: int) -> Tensor:
        scores = scores.float().unflatten(0, (copies, -1))
        # Of probabilities, but as logarithms: a label that no sample expects is not impossible.
        return (
            scores.log_softmax(-1).logsumexp(0) if self.kind == "classification" else scores.sum(0)
        )

    def _add(self, total: Tensor, part: Tensor) -> Tensor:
        return torch.logaddexp(total, part) if self.kind == "classification" else total + part


@contextmanager
def stream_predictions(
    model: nn.Module,
    batch: Mapping[str, Tensor],
    samples: int,
    carry: Carry = lambda output: {},
    *,
    kind: Literal["classification", "regression"] = "classification",
    seed: int = 0,
    without: tuple[Kind, ...] = (),
    draws: Draws = "stratified",
) -> Iterator[PredictionStream]:
    """The means of many noisy passes over batches that may follow each other, for a `with` block.

    Each sample has masks of its own, a function of `seed` and its number, and the same in every
    batch: where batches are the windows of one text, a sample reads all of it under one mask, from
    the state in which it ended the window before. Only running means are held. The model is in
    eval mode in the block, and afterwards as it was.

    >>> from dropsmith.patterns import Bernoulli
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    >>> plan, batch = Plan(rule("0", Bernoulli(rate=0.5))), {"input": torch.ones(2, 3)}
    >>> with plan.installed(net, batch), stream_predictions(net, batch, samples=8) as stream:
    ...     stream.read(batch, continues=False).shape
    torch.Size([2, 2])

    Args:
        model: its installed plan is the noise, beside its own.
        batch: a few rows by name, to find out how samples may be run.
        samples: how many passes, at least 1.
        carry: what one pass hands to the next over the batch that continues.
        kind: `classification` averages probabilities, `regression` predictions.
        seed: of the masks.
        without: kinds of sites that are left without noise, such as `words`.
        draws: as in `predict`.

    Raises:
        NoiseError: nothing random happens in the model.
    """
    model = unwrapped(model)
    plan = _without(model, batch, without) if without else None
    with sampling(model, arguments(model, batch), plan, seed) as sampler:
        sampler.strata = strata_of(draws, samples)
        way = probe(sampler, "auto", replay=False)
        yield PredictionStream(sampler, samples, way, carry, kind)


def _without(model: nn.Module, batch: Any, kinds: tuple[Kind, ...]) -> Plan:
    """The installed plan with no noise at the sites of some kinds."""
    plan = plan_of(model) or Plan()
    there = {site.kind for site in sites(model, batch)}
    if missing := [kind for kind in kinds if kind not in there]:
        raise NoiseError(
            f"this model has no site of kind {excerpt(missing[0])} to leave without noise\n"
            f"  its kinds are: {', '.join(sorted(there))}"
        )
    return Plan(*plan.rules, *(rule(select(kind=kind), Off()) for kind in kinds))
