"""`dropsmith predict RUN NEW`: the predictions of a finished run for new examples."""

import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropsmith.cli._output import console, print_json, progress_bar
from dropsmith.cli._prediction_files import check_out, row_writer
from dropsmith.cli._samples import SampleCount, samples_in_words
from dropsmith.cli._signals import signals_handled
from dropsmith.errors import DataError, TaskError
from dropsmith.hub import HUB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from dropsmith.prediction import Prediction
    from dropsmith.run_folder import Predictor
    from dropsmith.tasks import Bounds, DataOptions, Inputs

STANDARD_INPUT = "-"
"""The word for standard input in place of a file."""

OF_A_FILE = ("id_column", "delimiter", "encoding", "decimal")
"""The options for tables in which a new file may differ from that of training."""

NO_NOISE = (
    "this model has no noise, so each prediction is that of one pass; mutual information and "
    "deviations are not known, and their columns are empty"
)


@dataclass(frozen=True, kw_only=True)
class NewRows:
    """The arguments of `dropsmith predict RUN NEW`.

    Args:
        run: the folder of a finished run, or its record, or its address on the Hub.
        source: of the new examples: a file, a folder, or `-`.
        out: the file for predictions; standard output where None.
        page: the file for a page on how good and how sure they are, where examples have labels;
            beside `out` where None.
        samples, tolerance, seed, batch_size: of `Predictor.predict`; a batch of its usual size
            where None.
        model: the function that makes a model of the user's own.
        data_options: of reading the examples: bounds, and what may differ from file to file.
        as_json: whether standard output is JSON.
    """

    run: str
    source: str
    out: Path | None
    page: Path | None
    samples: SampleCount
    tolerance: float | None
    seed: int
    batch_size: int | None
    model: str | None
    data_options: "DataOptions | None"
    as_json: bool

    @property
    def bounds(self) -> "Bounds":
        """The bounds on the size of the data."""
        from dropsmith.tasks import USUAL

        return USUAL if self.data_options is None else self.data_options.bounds


def is_finished_run(place: str) -> bool:
    """True if RUN|TASK is a run: a folder, a record beside one, or an address on the Hub."""
    if not place.startswith(HUB) and not Path(place).exists():
        return False
    from dropsmith.run_folder import is_run

    return is_run(place)


def source_of(run: str, new: str | None) -> str:
    """The source of the new examples; `TaskError` if it is missing, or if RUN is a task."""
    if new is None:
        raise TaskError(
            f"{run} is a finished run, and its new examples are missing\n"
            f"  give a table, a folder of pictures, or - : dropsmith predict {run} new.csv"
        )
    from dropsmith.tasks import TASKS

    if run in TASKS:
        raise TaskError(
            f"{run} is a task, but new examples need a finished run\n"
            f"  give its folder: dropsmith predict runs/{run}/ID {new}"
        )
    return new


def refuse_training_options(options: dict[str, object]) -> None:
    """Raise `TaskError` if an option for training was typed with a run."""
    if typed := [name for name, value in options.items() if value]:
        raise TaskError(
            f"{typed[0]} is an option for training, and this run is finished\n"
            f"  leave it out; or train another run: dropsmith train TASK {typed[0]} …"
        )


def predict_new(options: NewRows) -> None:
    """Write a prediction for each new example, and print scores where examples have labels.

    Raises:
        DataError, TaskError: the run, the examples or the file for predictions cannot be used.
    """
    _check_data_options(options.data_options)
    if options.out is not None:
        check_out(options.out)
        _check_other_file(options.out, options.source)
    predictor = _load(options)
    inputs = _inputs(predictor, options)
    labelled = inputs.labels is not None
    page = _page_path(options, labelled)
    with signals_handled() as check, row_writer(options.out, options.as_json) as writer:
        kept: list[Prediction] = []
        counts: list[int] = []
        for prediction in _with_bar(predictor, inputs, options):
            writer.write(prediction.to_table())
            counts.append(prediction.samples)
            kept += [prediction] if labelled else []
            check()
    _report(predictor, inputs, options, kept, counts, page)


def _page_path(options: NewRows, labelled: bool) -> Path | None:
    """The path of the page; None without labels, or if no file is written."""
    from dropsmith.report import check_regular

    if options.page is not None and not labelled:
        raise TaskError(
            "--page judges predictions by labels, and the new examples have none\n  leave it out"
        )
    beside = None if options.out is None or not labelled else options.out.with_suffix(".html")
    path = options.page or beside
    if path is not None:
        _check_other_file(path, options.source)
        check_regular(path)
    return path


def _check_data_options(data_options: "DataOptions | None") -> None:
    if data_options is None:
        return
    if typed := replace(data_options, **dict.fromkeys(OF_A_FILE)).words():
        raise TaskError(
            f"{typed[0]} is an option for training data, which the run has stored\n  leave it out"
        )


def _load(options: NewRows) -> "Predictor":
    from dropsmith.run_folder import load
    from dropsmith.tasks import import_function

    model = None if options.model is None else import_function(options.model)
    predictor = load(options.run, model=model)
    changes = {name: getattr(options.data_options, name, None) for name in OF_A_FILE}
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes:
        return predictor
    steps: Any = predictor.preprocessing
    if not hasattr(steps, "with_reading"):
        option = next(iter(changes)).replace("_", "-")
        raise TaskError(
            f"--{option} is an option for tables, and this run does not read tables\n  leave it out"
        )
    return replace(predictor, preprocessing=steps.with_reading(**changes))


def _check_other_file(out: Path, source: str) -> None:
    if source != STANDARD_INPUT and out.exists() and out.resolve() == Path(source).resolve():
        raise TaskError(
            f"{out} is the file of the examples, and predictions would overwrite it\n"
            "  name another file: --out FILE"
        )


def _inputs(predictor: "Predictor", options: NewRows) -> "Inputs":
    if options.source == STANDARD_INPUT:
        return predictor.read(_lines(options.bounds), options.bounds)
    return predictor.read(Path(options.source), options.bounds)


def _lines(bounds: "Bounds") -> list[dict[str, Any]]:
    """The JSON objects on standard input, one for each line."""
    from dropsmith.tasks import json_rows

    place, rows = Path("standard input"), []
    if sys.stdin is None:
        raise DataError("standard input is closed\n  give a file of the new examples")
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8")
    try:
        for _, row in json_rows(place, lines):
            rows.append(row)
            if len(rows) > bounds.rows:
                raise bounds.excess("rows", str(place))
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not in UTF-8\n  {error}") from None
    finally:
        lines.detach()
    return rows


def _with_bar(predictor: "Predictor", inputs: "Inputs", options: NewRows) -> "Iterator[Prediction]":
    """The predictions batch by batch, with a bar if standard error is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    errors = console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bar(errors, *columns) as bar:
        line = bar.add_task("inputs", total=len(inputs.names))
        for prediction in predictor.predictions(
            inputs, options.samples, tolerance=options.tolerance, **_batching(options)
        ):
            yield prediction
            bar.advance(line, len(prediction.names))


def _batching(options: NewRows) -> dict[str, int]:
    size = {} if options.batch_size is None else {"batch_size": options.batch_size}
    return {"seed": options.seed, **size}


def _report(
    predictor: "Predictor",
    inputs: "Inputs",
    options: NewRows,
    kept: "list[Prediction]",
    counts: list[int],
    page: Path | None,
) -> None:
    samples, words = min(counts), samples_in_words(counts)
    if options.samples and samples == 1:
        print(NO_NOISE, file=sys.stderr)
    from dropsmith.prediction import join_predictions

    whole = join_predictions(kept) if kept else None
    one_pass = None
    if whole is not None and samples > 1:
        one_pass = join_predictions(list(predictor.predictions(inputs, 0, **_batching(options))))
    scores = {} if whole is None else _scores(predictor, inputs, whole, one_pass)
    if page is not None and scores and whole is not None:
        _write_page(page, predictor, inputs, options, whole, one_pass, counts)
    else:
        page = None
    if options.as_json:
        if options.out is not None:
            summary = {"run": predictor.record.id, "rows": len(inputs.names), "samples": samples}
            summary |= {"samples_by_batch": counts}
            place = {} if page is None else {"page": str(page)}
            print_json(summary | {"out": str(options.out), **place, "scores": scores})
        return
    output = console(stderr=options.out is None)
    if options.samples == "auto" and samples > 1:
        output.print(f"Samples drawn for each batch: {words}")
    if options.out is not None:
        output.print(f"{len(inputs.names):,} predictions: {options.out}", soft_wrap=True)
    if scores:
        _show(scores, words, output)
    if page is not None:
        output.print(f"How good and how sure they are: {page}", soft_wrap=True)


def _scores(
    predictor: "Predictor", inputs: "Inputs", whole: "Prediction", one_pass: "Prediction | None"
) -> dict[str, dict[str, float]]:
    """The scores of one pass and, with noise, of the mean of samples."""
    ways = {ONE_PASS: whole} if one_pass is None else {ONE_PASS: one_pass, MEAN: whole}
    scores = {name: predictor.scores(prediction, inputs) for name, prediction in ways.items()}
    return {name: row for name, row in scores.items() if row}


def _write_page(
    path: Path,
    predictor: "Predictor",
    inputs: "Inputs",
    options: NewRows,
    whole: "Prediction",
    one_pass: "Prediction | None",
    counts: list[int],
) -> None:
    from dropsmith.report import JudgedPrediction, of_inputs, pictures_of, write_prediction_page

    labels = inputs.labels
    assert labels is not None
    known = labels.isfinite() if labels.is_floating_point() else labels >= 0
    texts = zip(inputs.texts, known.tolist(), strict=False)
    pictures = pictures_of(inputs.part.rows(slice(0, len(inputs.part))))
    judged = JudgedPrediction(
        mean=of_inputs(whole, known),
        one_pass=None if one_pass is None else of_inputs(one_pass, known),
        labels=predictor.truths(labels[known]),
        texts=tuple(text for text, wanted in texts if wanted),
        pictures=None if pictures is None else pictures[known],
    )
    settings = {
        "run": options.run,
        "inputs": options.source,
        "task": predictor.description.task,
        "method": str(predictor.record.config.get("method", "")),
        "samples": samples_in_words(counts),
        "seed": str(options.seed),
    }
    write_prediction_page(judged, path, f"{predictor.description.task}: predictions", settings)


ONE_PASS, MEAN = "one_pass_without_noise", "mean_of_samples"
"""The names of scores in JSON, the same as in `dropsmith predict TASK`."""

_HEADS = {"nll": "NLL", "calibration_error": "calibration error", "rmse": "RMSE", "mae": "MAE"}


def _show(scores: dict[str, dict[str, float]], samples: str, output: "Console") -> None:
    from rich import box
    from rich.table import Table

    first = next(iter(scores.values()))
    names = [name for name in first if name != "rows"]
    heads = (_HEADS.get(name, name) for name in names)
    count = int(first["rows"])
    shown = {ONE_PASS: "one pass, noise off", MEAN: f"mean of {samples} samples"}
    table = Table(f"{count:,} with a label", *heads, box=box.SIMPLE_HEAD)
    for name, row in scores.items():
        table.add_row(shown[name], *(f"{row[column]:.4f}" for column in names))
    output.print(table)
