"""The check of an exported file: it is run, and must draw what `predict` draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments
from dropsmith.deployment.file_format import Run
from dropsmith.deployment.graph import DRAW
from dropsmith.deployment.inputs import NUMBER, SEED
from dropsmith.deployment.refusals import reason_of
from dropsmith.deployment.sampling import Sampling
from dropsmith.deployment.trace import Traced
from dropsmith.errors import ExportError

SEEDS = (0, -1_234_567)
"""The seeds that a file is tried with."""

_CLOSE = {torch.float64: 1e-8, torch.float32: 1e-4}
"""The share of the largest value by which runtimes may round products otherwise."""

_OF_SPREAD = 0.02
"""The share of the distance between two samples that is still taken for rounding."""

_ROUNDING_UNITS = 64
"""Units in the last place of the largest value that rounding may come to in any case."""


@dataclass(frozen=True)
class Case:
    """One call of a file, and what `predict` has for it.

    Args:
        inputs: of the graph.
        outputs: by name.
        spread: how far the first output would be off under other masks.
    """

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    spread: float


def cases_of(model: nn.Module, traced: Traced, request: Sampling) -> list[Case]:
    """The calls that a file is tried with: two seeds and two samples, over each batch."""
    batches = (traced.batches[0], traced.batches[-1])
    numbers = (1, 2 * request.strata + 2) if request.samples is None else (0, 0)
    cases: list[Case] = []
    for seed, batch, number in zip(SEEDS, batches, numbers, strict=True):
        if request.samples is None:
            outputs, spread = _draw(model, batch, traced, request, seed, number)
        else:
            outputs, spread = _prediction(model, batch, traced, request, seed)
        inputs = {SEED: _int32(seed), NUMBER: _int32(number), **traced.columns.tensors(batch)}
        cases.append(Case(inputs, outputs, spread))
    return cases


def check_file(load: Callable[[], Run], cases: Sequence[Case], runtime: str) -> None:
    """Raise `ExportError` where a file gives other numbers than `predict`.

    Args:
        load: makes what runs the file.
        cases: to try.
        runtime: that runs it, by name.
    """
    run: Run | None = None
    for case in cases:
        try:
            run = load() if run is None else run
            outputs = run(case.inputs)
        except Exception as error:  # of many classes, by runtime
            raise ExportError(
                f"{runtime} cannot run the file that was written: {reason_of(error)}\n"
                "  no file is left"
            ) from error
        pairs = zip(case.outputs.items(), outputs, strict=True)
        for place, ((name, expected), output) in enumerate(pairs):
            if output.shape != expected.shape:
                raise ExportError(
                    f"{runtime} gives {name} the shape {tuple(output.shape)}, and "
                    f"dropsmith.predict {tuple(expected.shape)}\n  no file is left"
                )
            limit = _limit(expected, case.spread if place == 0 else float("inf"))
            error = float((output.double() - expected.double()).abs().max())
            if not error <= limit:
                raise ExportError(
                    f"{runtime} does not give what dropsmith.predict gives: {name} differs by "
                    f"{error:.2g}, where rounding explains {limit:.2g}\n"
                    "  it draws other masks, or rounds products more coarsely; no file is left"
                )


def _limit(expected: Tensor, spread: float) -> float:
    """The largest difference that is taken for rounding."""
    scale = max(float(expected.abs().max()), 1e-2)
    rounding = _ROUNDING_UNITS * torch.finfo(expected.dtype).eps * scale
    return max(rounding, min(_CLOSE.get(expected.dtype, 0.03) * scale, _OF_SPREAD * spread))


def _draw(
    model: nn.Module, batch: Arguments, traced: Traced, request: Sampling, seed: int, number: int
) -> tuple[dict[str, Tensor], float]:
    with request.sampler(model, batch, seed) as sampler:
        samples = [sampler.sample(batch, (n,))[0] for n in (number, number + 1)]
    draw, other = (traced.reading.draw(parts) for parts in samples)
    return draw, float((draw[DRAW] - other[DRAW]).abs().max())


def _prediction(
    model: nn.Module, batch: Arguments, traced: Traced, request: Sampling, seed: int
) -> tuple[dict[str, Tensor], float]:
    samples = request.samples or 0
    request = replace(request, heads=replace(request.heads, class_axis=traced.class_axis))
    prediction = request.predict(model, batch, seed, samples)
    outputs = {name: getattr(prediction, name) for name in traced.outputs}
    return outputs, sqrt(float(prediction.variance.max()) / samples)


def _int32(number: int) -> Tensor:
    return torch.tensor(number, dtype=torch.int32)
