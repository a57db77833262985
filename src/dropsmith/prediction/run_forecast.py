"""Forecasts of several steps, each made from the forecasts before it under one mask a sample."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, arguments
from dropsmith.errors import NoiseError, excerpt
from dropsmith.instances import check_bool, is_function
from dropsmith.noise import RowAxes
from dropsmith.numbers import check_whole
from dropsmith.passes import Scores, check_scores
from dropsmith.plans import Plan
from dropsmith.prediction.checks import check_sampling
from dropsmith.prediction.draws import Draws, strata_of
from dropsmith.prediction.heads import Head
from dropsmith.prediction.moments import Moments
from dropsmith.prediction.no_uncertainty import no_effect
from dropsmith.prediction.prediction import Prediction
from dropsmith.prediction.probe import probe
from dropsmith.prediction.run_samples import budget_of, chunks_of, unwrapped
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.sampling import sampling

Feed = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
"""Takes the output of a step and its arguments; returns the arguments of the next step."""


def forecast(
    model: nn.Module,
    batch: Mapping[str, Any],
    steps: int,
    feed: Feed,
    samples: int = 50,
    *,
    plan: Plan | None = None,
    seed: int = 0,
    memory: int | None = None,
    keep: bool = False,
    rows: RowAxes | None = None,
    scores: Scores | None = None,
    draws: Draws = "stratified",
) -> Prediction:
    """The values of several steps, each forecast from those before, and how unsure the model is.

    Every sample follows a path of its own: it keeps its masks over all steps, and each step reads
    what the same sample forecast before. The variance is that of the model alone; noise in the data
    is not added along the path. A model that returns all steps at once needs `predict` and no more.

    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 1))
    >>> def feed(output, arguments):
    ...     return {"input": torch.cat([arguments["input"][:, 1:], output], 1)}
    >>> path = forecast(net, {"input": torch.randn(5, 3)}, steps=4, feed=feed, samples=20)
    >>> path.mean.shape, path.variance.shape
    (torch.Size([5, 4, 1]), torch.Size([5, 4, 1]))

    Args:
        model: whose output has the values of one step, rows first.
        batch: the arguments of the first step, by name.
        steps: how many.
        feed: makes the arguments of the next step, by name, of the output and the arguments of a
            step; arguments that it leaves out stay as they are.
        samples: how many paths, at least 2.
        plan, seed, memory, rows, draws: as in `predict`.
        keep: whether the paths themselves are kept, `draws` of the prediction.
        scores: the place of a step's values in what the model returns, as in `predict`; of a model
            that returns a value for each place of its input, `lambda output: output[:, -1]`.

    Returns:
        A prediction of kind `regression` whose second dimension is that of the steps.

    Raises:
        NoiseError: the model has no noise, or its steps have values of different shapes.
    """
    check_sampling("forecast", model, "auto", memory, plan)
    check_whole("steps", steps, 1, NoiseError)
    check_whole("samples", samples, 2, NoiseError)
    if not is_function(feed):
        raise NoiseError(
            f"feed makes the arguments of the next step, got {excerpt(feed)}\n"
            '  write a function: lambda output, arguments: {"input": output}'
        )
    check_bool("keep", keep)
    check_scores(scores)
    if not isinstance(batch, Mapping):
        raise NoiseError(f"forecast takes a batch by name, got {excerpt(batch)}")
    model = unwrapped(model)
    inputs, strata = arguments(model, batch), strata_of(draws, samples)
    with sampling(model, inputs, plan, seed, rows) as sampler:
        sampler.heads = (Head(kind="regression", places=(scores,)),)
        sampler.strata = strata
        way = probe(sampler, "auto", replay=False)
        budget = budget_of(model) if memory is None else memory
        copies = way.copies(sampler.layout.argument_rows(inputs), budget)
        moments = Moments("regression", keep)
        for numbers in chunks_of(range(samples), copies):
            moments.add_block(_paths(sampler, inputs, numbers, steps, feed))
        if not moments.differ:
            names = sorted(sampler.noise.draw_counts)
            raise no_effect(model, sampler.probe_inputs, samples, names)
        # What torch alone drew has no strata.
        moments.stratified = strata > 0 and sampler.drew_by_key
        return moments.prediction()


def _paths(
    sampler: Sampler, inputs: Arguments, numbers: tuple[int, ...], steps: int, feed: Feed
) -> Tensor:
    """The values of some samples, `[samples, rows, steps, ...]`."""
    copies, rows = len(numbers), sampler.layout.argument_rows(inputs)
    stacked = sampler.layout.stacked(inputs, [rows] * copies) if copies > 1 else inputs
    read, rows = dict(stacked.kwargs), rows * copies
    values: list[Tensor] = []
    for step in range(steps):
        output = sampler.output(sampler.plan(inputs, numbers), read)
        (value,) = sampler.parts(output)
        if value.shape[:1] != (rows,) or (values and value.shape != values[0].shape):
            raise NoiseError(
                f"step {step + 1} has values of shape {tuple(value.shape)} for {rows} rows"
                + (f", and step 1 of {tuple(values[0].shape)}" if values else "")
                + "\n  say where the values of one step are: scores=lambda output: output[:, -1]"
            )
        values.append(value)
        if step + 1 < steps:
            with torch.no_grad():
                read |= _arguments(feed(output, read))
    return torch.stack(values, 1).unflatten(0, (copies, -1))


def _arguments(fed: object) -> dict[str, Any]:
    if not isinstance(fed, Mapping) or not all(isinstance(name, str) for name in fed):
        raise NoiseError(
            f"feed returns the arguments of the next step by name, got {excerpt(fed)}\n"
            '  such as {"input": ...}'
        )
    return dict(fed)
