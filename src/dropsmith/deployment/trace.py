"""A model traced with its noise: the program that files of all formats are made of."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from dropsmith.batches import Arguments, copy_tensors
from dropsmith.deployment.graph import Draws, Reading, Sampled
from dropsmith.deployment.inputs import NUMBER, SEED, Columns
from dropsmith.deployment.quiet import quiet
from dropsmith.deployment.refusals import check_exportable, reason_of, refuse_stacking
from dropsmith.deployment.sampling import Sampling
from dropsmith.errors import ExportError
from dropsmith.noise import PREDICTION, ForwardPass
from dropsmith.portable import Recorder, recorded_by
from dropsmith.prediction import Sampler
from dropsmith.recurrent import AsLoops


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A traced model.

    Args:
        program: takes seed and number, then the tensors of a batch by name.
        columns: the tensors of a batch.
        outputs: names of what it returns.
        reading: of the scores.
        batches: arguments to try it with: those of the caller, and others with another number
            of rows where the model takes one.
    """

    program: ExportedProgram
    columns: Columns
    outputs: tuple[str, ...]
    reading: Reading
    batches: tuple[Arguments, ...]

    @property
    def class_axis(self) -> int | None:
        """The dimension of a draw that has the classes, or the quantiles; None without."""
        is_along = self.reading.kind not in ("multi_label", "regression", "gaussian")
        return self.reading.class_axis if is_along else None


def trace(
    model: nn.Module,
    batch: Any,
    inputs: Arguments,
    request: Sampling,
    recorder: Recorder | None = None,
    closed_loops: bool = False,
) -> Traced:
    """Trace a model under sampling.

    Args:
        model: the root.
        batch: as it was given.
        inputs: arguments of its forward.
        request: the samples.
        recorder: makes the computations of masks; None to trace them as they are.
        closed_loops: whether loops may read nothing that is outside of them.

    Raises:
        ExportError: some of its noise is torch's own, its samples do not stack, or torch cannot
            trace it.
    """
    axis = request.predict(model, batch, 0, samples=2).class_axis
    with request.sampler(model, inputs, 0) as sampler, torch.no_grad():
        parts = sampler.sample(inputs, (0,))[0]
        check_exportable(sampler, inputs)
        draws = _draws(sampler, inputs)
        reading = Reading(
            head=sampler.heads[0],
            class_axis=-1 if axis is None else axis,
            row_axis=0 if request.samples is None else _row_axis(sampler, inputs, parts[0]),
        )
        columns = Columns.of(model, inputs)
        module = Sampled(
            sampler.model,
            sampler.noise,
            columns,
            reading,
            draws,
            sampler.step,
            request.strata,
            request.samples,
            sampler.layout,
        ).eval()
        batches = _batches(sampler, inputs)
        with recorded_by(recorder, closed_loops), AsLoops():
            program = _program(module, columns.tensors(batches[-1]))
    return Traced(
        program=program,
        columns=columns,
        outputs=reading.outputs(request.samples),
        reading=reading,
        batches=batches,
    )


def _program(module: Sampled, tensors: dict[str, Tensor]) -> ExportedProgram:
    number = torch.zeros((), dtype=torch.int32)
    shapes = {name: dict.fromkeys(range(x.ndim), Dim.AUTO) for name, x in tensors.items()}
    try:
        with quiet():
            return torch.export.export(
                module,
                (number, number.clone()),
                tensors,
                dynamic_shapes={SEED: None, NUMBER: None, **shapes},
            )
    except ExportError:
        raise
    except Exception as error:  # torch raises many classes, and errors of the model's own
        raise ExportError(
            f"torch.export cannot trace this model: {reason_of(error)}\n"
            "  its steps must not depend on the values of tensors; try torch.export.export alone"
        ) from error


def _draws(sampler: Sampler, inputs: Arguments) -> Draws:
    """The draws of one pass."""
    noise, one_pass = sampler.noise, ForwardPass(domain=PREDICTION, step=0, sampling=True)
    args, kwargs = copy_tensors(tuple(inputs))
    with noise.passing(one_pass):
        sampler.model(*args, **kwargs)
    calls = one_pass.calls.items()
    return {(name, call): noise.words[name] for name, count in calls for call in range(count)}


def _row_axis(sampler: Sampler, inputs: Arguments, scores: Tensor) -> int:
    """The dimension of the scores along which samples lie one after the other."""
    refuse_stacking(sampler)
    other = sampler.sample(inputs, (1,))[0][0]
    stacked = sampler.parts(sampler.output(sampler.plan(inputs, (0, 1))))[0]
    for axis in range(scores.ndim):
        both = torch.cat([scores, other], axis)
        if both.shape == stacked.shape and torch.allclose(both, stacked, rtol=1e-3, atol=1e-4):
            return axis
    raise ExportError(
        f"samples cannot be told apart in scores of shape {tuple(stacked.shape)}\n"
        "  leave samples= out: one sample a call"
    )


def _batches(sampler: Sampler, inputs: Arguments) -> tuple[Arguments, ...]:
    """The arguments, and others with more rows: torch takes the size of one row for fixed."""
    layout = sampler.layout
    if not layout.grows or not layout.divisible:
        return (inputs,)
    first = layout.take_arguments(inputs, [0])
    return inputs, layout.combine([inputs, first])
