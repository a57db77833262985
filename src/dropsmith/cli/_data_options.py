"""Options for reading data, which all commands on data share."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from dropsmith.errors import TaskError, did_you_mean

if TYPE_CHECKING:
    from dropsmith.tasks import Bounds, Data, DataOptions, Task

_PANEL = "Your own data"


class _Options(TypedDict):
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="FILE|DIR",
            help="The validation examples, if --data or TASK is the file of training examples. "
            "Default: cut from training.",
            rich_help_panel=_PANEL,
        ),
    ]
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE|DIR",
            help="The test examples, likewise.",
            rich_help_panel=_PANEL,
        ),
    ]
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            "--text-column",
            metavar="NAME",
            help="The column of texts in a table; twice for pairs of texts.",
            rich_help_panel=_PANEL,
        ),
    ]
    label_column: Annotated[
        str | None,
        typer.Option(
            "--label-column",
            metavar="NAME",
            help="The column that is predicted. Default: label, target, class or the like.",
            rich_help_panel=_PANEL,
        ),
    ]
    feature_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--feature-columns",
            "--columns",
            metavar="NAME,…",
            help="The columns of numbers and categories that the model reads, beside the texts "
            "where --text-column names some.",
            rich_help_panel=_PANEL,
        ),
    ]
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id-column",
            metavar="NAME",
            help="The column with the names of the rows, which is not given to the model.",
            rich_help_panel=_PANEL,
        ),
    ]
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="classification|regression",
            help="Whether labels are classes or numbers. Default: found from the labels.",
            rich_help_panel=_PANEL,
        ),
    ]
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="CHARACTER",
            help="The character between cells, or the word tab. Default: found in the file.",
            rich_help_panel=_PANEL,
        ),
    ]
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            metavar="NAME",
            help="The encoding of a text file, such as cp1252. Default: UTF-8, or what the mark "
            "at its beginning says.",
            rich_help_panel=_PANEL,
        ),
    ]
    decimal: Annotated[
        str | None,
        typer.Option(
            "--decimal",
            metavar=".|,",
            help="The sign before the decimals of numbers. Default: found in the table.",
            rich_help_panel=_PANEL,
        ),
    ]
    image_size: Annotated[
        str | None,
        typer.Option(
            "--image-size",
            metavar="PIXELS|HxW",
            help="The height and width to which pictures are resized. Default: from their sizes.",
            rich_help_panel=_PANEL,
        ),
    ]
    text_length: Annotated[
        int | None,
        typer.Option(
            "--text-length",
            min=1,
            metavar="WORDS",
            help="The most words of a text that are used; with a pretrained model, tokens.",
            rich_help_panel=_PANEL,
        ),
    ]
    drop_repeats: Annotated[
        str | None,
        typer.Option(
            "--drop-repeats",
            metavar="train|test",
            help="Leave examples that stand in more than one part out of training, or out of "
            "validation and test. Default: what the task does; the line `repeated` says it.",
            rich_help_panel=_PANEL,
        ),
    ]
    bound: Annotated[
        list[str] | None,
        typer.Option(
            "--bound",
            metavar="NAME=NUMBER",
            help="A bound on the size of the data, in place of the default: rows, bytes or "
            "row_bytes of a table or a text, pixels of a picture, picture_bytes of all pictures; "
            "may be given again.",
            rich_help_panel=_PANEL,
        ),
    ]


def takes_data_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with options for data in place of its parameter `data_options`."""
    options = _Options.__annotations__
    signature = inspect.signature(command)
    parameters = [
        parameter
        for name, place in signature.parameters.items()
        for parameter in (
            [place]
            if name != "data_options"
            else [
                inspect.Parameter(
                    option, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=kind
                )
                for option, kind in options.items()
            ]
        )
    ]

    @wraps(command)
    def run_command(**values: Any) -> None:
        given = {name: values.pop(name, None) for name in options}
        command(**values, data_options=data_options_of(**given))

    run_command.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore
    run_command.__annotations__ = {p.name: p.annotation for p in parameters}
    return run_command


def data_options_of(
    *,
    validation: Path | None = None,
    test: Path | None = None,
    text_column: list[str] | None = None,
    label_column: str | None = None,
    feature_columns: list[str] | None = None,
    id_column: str | None = None,
    kind: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    image_size: str | None = None,
    text_length: int | None = None,
    drop_repeats: str | None = None,
    bound: list[str] | None = None,
) -> "DataOptions":
    """The data options from the typed words; `TaskError` for an invalid one."""
    from dropsmith.tasks import DataOptions

    features = [name for names in feature_columns or [] for name in names.split(",")]
    return DataOptions(
        validation=validation,
        test=test,
        text_columns=tuple(text_column or ()),
        label_column=label_column,
        feature_columns=tuple(name.strip() for name in features),
        id_column=id_column,
        kind=kind,  # pyright: ignore[reportArgumentType] - it is checked there
        delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter),
        encoding=encoding,
        decimal=decimal,  # pyright: ignore[reportArgumentType] - it is checked there
        image_size=_size(image_size),
        text_length=text_length,
        drop_repeats=drop_repeats,  # pyright: ignore[reportArgumentType] - it is checked there
        bounds=bounds_of(bound),
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    numbers = text.lower().replace("×", "x").split("x")
    if len(numbers) > 2 or not all(n.isascii() and n.isdigit() and len(n) < 6 for n in numbers):
        raise TaskError(
            f"an image size is a number of pixels or HEIGHTxWIDTH, got {text[:60]!r}\n"
            "  such as --image-size 64 or --image-size 48x64"
        )
    return int(numbers[0]), int(numbers[-1])


def print_data(task: "Task", data: "Data", place: Path | None, as_json: bool) -> None:
    """Print a description of the user's own data; of data that a task includes, what is repeated.

    If a file or folder has the name of that task, one line says which of them is used.

    Args:
        task, data: the task and its examples.
        place: the path given with --data.
        as_json: whether standard output is JSON, so that the lines go to standard error.
    """
    from dropsmith.tasks import TASKS, describe

    if place is not None or task.name not in TASKS or task.data_options.changed():
        print(describe(task, data), end="\n\n", file=sys.stderr if as_json else sys.stdout)
        return
    for name, text in data.notes:
        if name in ("repeated", "conflicts"):
            print(f"{name}: {text}", file=sys.stderr if as_json else sys.stdout)
    if Path(task.name).exists():
        print(
            f"{task.name} is the task that comes with dropsmith; for the {task.name} in this "
            f"folder, type ./{task.name}",
            file=sys.stderr,
        )


def print_unlabelled(data: "Data", as_json: bool) -> None:
    """Print how many training examples have a label, where some have none.

    Args:
        data: of a run.
        as_json: whether standard output is JSON, so that the line goes to standard error.
    """
    if data.unlabelled is None:
        return
    print(
        f"training examples: {len(data.train):,} with a label, {len(data.unlabelled):,} without",
        end="\n\n",
        file=sys.stderr if as_json else sys.stdout,
    )


def bounds_of(texts: list[str] | None) -> "Bounds":
    """The bounds from `--bound name=number`, which may be repeated; others keep their defaults."""
    from dropsmith.tasks import Bounds

    names, values = [field.name for field in fields(Bounds)], {}
    for text in texts or []:
        name, equals, value = (part.strip() for part in text.partition("="))
        if name not in names:
            raise TaskError(
                f"--bound {text[:60]!r} sets no bound\n  give one of {', '.join(names)}, "
                f"such as {names[0]}=1000" + did_you_mean(name, names)
            )
        if not (equals and value.isascii() and value.isdigit() and len(value) < 20):
            raise TaskError(f"a bound is a whole number, such as {name}=1000, got {text[:60]!r}")
        values[name] = int(value)
    return Bounds(**values)
