"""Export: a model with its noise as a file that draws what `predict` draws."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from os import getpid
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import Any

from torch import nn

from dropsmith.batches import Arguments, arguments, copy_tensors
from dropsmith.deployment.check import cases_of, check_file
from dropsmith.deployment.exported import Exported, Format
from dropsmith.deployment.formats import format_of
from dropsmith.deployment.inputs import without_labels
from dropsmith.deployment.sampling import Sampling
from dropsmith.deployment.sizes import inputs_of
from dropsmith.deployment.trace import trace
from dropsmith.errors import ExportError, excerpt
from dropsmith.files import whole_file
from dropsmith.instances import check_model, checked_path
from dropsmith.noise import RowAxes, state_unchanged
from dropsmith.numbers import is_count
from dropsmith.plans import Plan, check_plan
from dropsmith.portable import LARGEST_DIVISOR
from dropsmith.prediction import (
    Draws,
    HeadOptions,
    Places,
    PredictionKind,
    strata_of,
    unwrapped,
)


def export(
    model: nn.Module,
    batch: Any,
    path: str | Path,
    format: Format | None = None,
    *,
    samples: int | None = None,
    plan: Plan | None = None,
    kind: PredictionKind | None = None,
    rows: RowAxes | None = None,
    scores: Places | None = None,
    class_axis: int | None = None,
    quantiles: Sequence[float] | None = None,
    draws: Draws = "stratified",
    strata: int | None = None,
) -> Exported:
    """Write a model with its noise to a file for a runtime without dropsmith.

    The graph has two inputs beside the batch, `seed` and `number`, both int32 without axes. It
    draws the masks that `predict` draws for that seed and that sample: masks are equal to the bit,
    outputs to rounding. The sizes of the batch may differ from call to call wherever the model
    allows it; see `inputs` of what is returned.

    Before the file takes its place it is run, for two samples and two seeds, and compared with
    `predict`. Where they differ there is an error, and no file.

    >>> import tempfile, torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    >>> path = Path(tempfile.mkdtemp()) / "net.pt2"
    >>> exported = export(net, torch.randn(2, 4), path)
    >>> exported.inputs["input"], exported.outputs
    (('float32', ('s0', 4)), ('draw',))

    Args:
        model: any module whose output holds scores. A copy of it is not needed: it is afterwards
            as it was, and no training step is counted.
        batch: what it takes, as for `predict`. An argument for labels is left out, where the
            model can do without. A size of 1 other than that of the rows is fixed in the graph.
        path: of the file: `.onnx`, `.pt2`, or `.xml` of OpenVINO, which has a `.bin` beside it.
        format: `onnx`, `pt2` or `openvino`; by default what the path ends in.
        samples: how many samples one call averages; it then returns `mean`, `entropy` and
            `mutual_information`, or `mean` and `variance` for regression, and `number` is that of
            the first sample. None for one sample a call, `draw`: probabilities, or values.
        plan, kind, rows, scores, class_axis, quantiles: as for `predict`, of one output.
        draws: `stratified` or `independent` masks, as for `predict`.
        strata: with one sample a call, how many of them are stratified together, as `samples` of
            `predict`; 50 by default. Samples 50 to 99 are stratified anew.

    Raises:
        ExportError: a site's noise is torch's own, the model cannot be traced, a runtime has no
            form for it or draws otherwise; or the arguments do not fit together.
        MissingExtra: a library that writes or runs the format is not installed.
        NoiseError: the model has no noise, or its class axis cannot be told.
    """
    check_model(model)
    target = checked_path("path", path)
    file_format = format_of(target, format)()
    _check_place(target)
    request = Sampling(
        plan=plan,
        rows=rows,
        heads=HeadOptions(kind=kind, scores=scores, class_axis=class_axis, quantiles=quantiles),
        samples=samples,
        strata=_strata(samples, draws, strata),
    )
    if isinstance(kind, Mapping):
        raise ExportError(
            "a file has one output, and kind names several\n"
            "  say which: scores=..., and its kind as a word"
        )
    if plan is not None:
        check_plan(plan, "export takes a plan, or None")
    file_format.check_installed()
    model = unwrapped(model)
    inputs = without_labels(model, arguments(model, batch))
    inputs = Arguments(*copy_tensors(tuple(inputs)))
    with state_unchanged(model):
        traced = trace(
            model, batch, inputs, request, file_format.recorder(), file_format.closed_loops
        )
        cases = cases_of(model, traced, request)
    with _folder_beside(target) as folder:
        file_format.write(traced, folder / target.name)
        check_file(partial(file_format.load, folder / target.name), cases, file_format.runtime)
        for file in sorted(folder.iterdir(), key=lambda file: file.name == target.name):
            with whole_file(target.with_name(file.name)) as unfinished:
                file.replace(unfinished)
    return Exported(
        path=target,
        format=file_format.name,
        inputs=inputs_of(traced),
        outputs=traced.outputs,
        kind=traced.reading.kind,
        samples=samples,
        draws=draws,
        strata=request.strata,
        class_axis=traced.class_axis,
    )


_USUAL_STRATA = 50
_USUAL = {"samples": "one sample a call", "strata": f"{_USUAL_STRATA}"}


def _strata(samples: int | None, draws: Draws, strata: int | None) -> int:
    """How many samples are stratified together; 0 for none."""
    usual = _USUAL_STRATA if samples is None else samples
    for name, count in (("samples", samples), ("strata", strata)):
        if count is not None and not is_count(count, 2, LARGEST_DIVISOR):
            raise ExportError(
                f"{name} is a number from 2 to {LARGEST_DIVISOR}, got {excerpt(count)}\n"
                f"  leave {name}= out for {_USUAL[name]}"
            )
    if strata is not None and (samples is not None or draws == "independent"):
        other = f"samples={samples}" if samples is not None else "draws='independent'"
        raise ExportError(
            f"strata={strata} is for one sample a call, and for stratified ones: not with {other}\n"
            "  leave one of the two out"
        )
    return strata_of(draws, usual if strata is None else strata)


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise ExportError(
            f"there is no folder {excerpt(str(path.parent))} to write {path.name} to\n"
            "  make the folder first, or type another path"
        )
    if path.is_dir():
        raise ExportError(
            f"{excerpt(str(path))} is a folder, and a file is to be written there\n"
            "  type the path of a file"
        )


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder for unfinished files, which is gone after the block."""
    folder = path.with_name(f".{token_hex(8)}.{getpid()}.partial")
    folder.mkdir()
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
