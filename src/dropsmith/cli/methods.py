"""`dropsmith methods`: the methods, what each does, and its numbers."""

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropsmith.cli._options import AsJson
from dropsmith.cli._output import console, print_json

if TYPE_CHECKING:
    from dropsmith.compare import Method

Name = Annotated[
    str | None,
    typer.Argument(metavar="METHOD", help="Show this method in full.", show_default=""),
]
With = Annotated[
    str | None,
    typer.Option(
        "--with",
        metavar="METHOD,…",
        help="List these methods alone, such as those in a file of your own: myfile:Cosine.",
    ),
]


def methods(name: Name = None, with_: With = None, as_json: AsJson = False) -> None:
    """List the methods that can be compared: what each does, its paper, and its numbers.

    The numbers are what --set changes in train, predict and audit; compare tries several values of
    each on validation examples. `dropsmith methods METHOD` shows what they mean.

    Example: dropsmith methods r-drop

    Example: dropsmith methods --with myfile:Cosine
    """
    from dropsmith.compare import METHODS, find_method

    names = [name] if name is not None else with_.split(",") if with_ is not None else [*METHODS]
    rows = {spelled.strip(): find_method(spelled.strip()) for spelled in names}
    if as_json:
        objects = [_as_object(*row) for row in rows.items()]
        print_json(objects[0] if name is not None else objects)
    elif name is not None:
        _show_one(*next(iter(rows.items())))
    else:
        _show(rows)


def _as_object(name: str, method: "Method") -> dict[str, Any]:
    from dataclasses import asdict

    from dropsmith.compare import method_numbers

    return {
        "name": name,
        "about": method.about,
        "source": method.source,
        "noise": method.noise,
        "views": method.views,
        "kinds": list(method.kinds),
        "blocks": method.blocks,
        "numbers": [asdict(number) for number in method_numbers(method)],
    }


def _show(rows: "dict[str, Method]") -> None:
    from rich import box
    from rich.table import Table

    output = console()
    table = Table("method", "what it does", "paper", "--set, with usual value", box=box.SIMPLE_HEAD)
    for column in table.columns:
        column.overflow = "fold"
    for name, method in rows.items():
        numbers = "\n".join(f"{key}={value:g}" for key, value in method.settings[0].items())
        table.add_row(name, method.about, method.source, numbers)
    output.print(table)
    output.print(
        "One method in full: dropsmith methods METHOD. One of your own: myfile:NAME, for a method "
        "or an objective in myfile.py."
    )


def _show_one(name: str, method: "Method") -> None:
    from dropsmith.compare import method_numbers

    facts = {
        "what it does": method.about,
        "paper": method.source,
        "noise": _noise(method),
        "passes of a batch": str(method.views),
        "tasks": " and ".join(method.kinds)
        + (", with a model of Transformer blocks" if method.blocks else ""),
    }
    numbers = method_numbers(method)
    for number in numbers:
        tried = ", ".join(f"{value:g}" for value in number.tried)
        meaning = f"{number.about}. " if number.about else ""
        facts[f"--set {number.name}="] = f"{meaning}Usual: {number.usual:g}. Tried: {tried}."
    words = " ".join(f"--set {number.name}={number.usual:g}" for number in numbers)
    facts["example"] = f"dropsmith train TASK --with {name} {words}"
    width = max(map(len, facts)) + 2
    output = console()
    output.print(name)
    for label, text in facts.items():
        room = max(30, min(output.width, 100) - width - 2)
        is_command = label == "example"
        lines = [text] if is_command else textwrap.wrap(text, room, break_on_hyphens=False)
        for index, line in enumerate(lines):
            output.print(f"  {label if index == 0 else '':<{width}}{line}", soft_wrap=True)


def _noise(method: "Method") -> str:
    from dropsmith.compare import PAIRED_NOISE

    if method.noise is None:
        return "none"
    if method.noise == PAIRED_NOISE:
        return "that which the task has for methods of several passes, dropout by default"
    return method.noise
