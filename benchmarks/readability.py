"""Figures of how readable the source is, beside the limits it should keep.

Traced hops are the distinct files and functions of `dropsmith` that a call enters, counted with
`sys.setprofile` on small models: comprehensions and lambdas are no functions. Files are those of
`dropsmith` but for `__init__.py`; functions, names, docstrings and imports are those of
`dropsmith` and `dropsmith_recipes`. The length of a function runs from `def` to its end without
the docstring. `benchmarks/_words.py` says which names count as pronouns and participles.

`python -m benchmarks.readability [--list] [--against FILE] [--out FOLDER] [--smoke]`, from the root
of the repository.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from benchmarks._harness import ROOT
from benchmarks._hops import traced
from benchmarks._results import environment_of, free_path
from benchmarks._source import (
    DOOR,
    SMALL,
    File,
    docstrings,
    file_sizes,
    files_of,
    function_lengths,
    imports_between_rooms,
    names_of,
    opens_with_question,
    sentence_names,
)
from rich.console import Console
from rich.table import Table

import dropsmith

FORMAT = "dropsmith.readability"
RECIPES = "dropsmith_recipes"
HOP_LIMITS = {
    "F.dropout under a rule": (8, 25),
    "a step of consistent": (14, 55),
    "audit": (10, None),
    "predict": (18, None),
}
"""Files and functions that a call may enter."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number about the source.

    Args:
        name: of what.
        value: the number; a share is in [0, 1].
        most: the limit that it should not exceed, where there is one.
        least: the limit that it should reach.
        share: whether it is a share of something, which is printed in per cent.
    """

    name: str
    value: float
    most: float | None = None
    least: float | None = None
    share: bool = False

    @property
    def within(self) -> bool:
        """Whether the limits are kept."""
        high = self.most is None or self.value <= self.most
        return high and (self.least is None or self.value >= self.least)


def hop_figures(package: Path) -> list[Figure]:
    """Files and functions that each traced call enters."""
    figures = []
    for call, hops in traced(package).items():
        files, functions = HOP_LIMITS.get(call, (None, None))
        figures.append(Figure(name=f"{call}: files", value=hops.files, most=files))
        figures.append(Figure(name=f"{call}: functions", value=hops.functions, most=functions))
    return figures


def source_figures(package: str, files: Sequence[File], beside: Sequence[File]) -> list[Figure]:
    """Figures of a package, with the functions, names and imports of what stands beside it."""
    every = [*files, *beside]
    sizes = file_sizes(files)
    names, texts = names_of(every), docstrings(every)
    imports = imports_between_rooms(every, package)
    pronouns = sum(sentence_names(names).values())
    questions = sum(map(opens_with_question, texts))
    return [
        Figure(name="files", value=sizes["all"]),
        Figure(name="files that are no door", value=sizes["no_doors"]),
        Figure(name="lines of a file, median", value=sizes["median"], least=110, most=160),
        Figure(name=f"files of {SMALL} lines or fewer", value=sizes["small"], most=15),
        Figure(name="lines of a function, median", value=median(function_lengths(every)), most=8),
        Figure(name="names", value=len(names)),
        Figure(
            name="pronouns and participles", value=_share(pronouns, names), most=0.02, share=True
        ),
        Figure(name="docstrings", value=len(texts)),
        Figure(
            name="docstrings that open with a question word",
            value=_share(questions, texts),
            most=0.03,
            share=True,
        ),
        Figure(name="imports from another room", value=len(imports)),
        Figure(name="imports past a door", value=sum(past for _, past in imports), most=0),
    ]


def main(arguments: Iterable[str] | None = None) -> None:
    """Count, print and write."""
    options = _parser().parse_args(None if arguments is None else list(arguments))
    earlier = _read(options.against) if options.against else {}
    package = Path(dropsmith.__file__).resolve().parent
    files, recipes = files_of(package), files_of(package.parent / RECIPES)
    torch.manual_seed(0)
    figures = hop_figures(package) + source_figures(package.name, files, recipes)
    show(figures, earlier)
    if options.list:
        print("\n".join(_offenders(package.name, files, recipes)))
    if options.smoke:
        print("a smoke run: nothing written")
        return
    print(f"written: {save(options.out, figures)}")


def show(figures: Sequence[Figure], earlier: dict[str, float]) -> None:
    """Print the figures as a table, beside their limits and those of an earlier run."""
    table = Table()
    table.add_column("figure", no_wrap=True)
    for head in ("value", "limit", "") + (("earlier",) if earlier else ()):
        table.add_column(head, justify="right", no_wrap=True)
    for figure in figures:
        limit = _limit(figure)
        cells = [figure.name, _text(figure, figure.value), limit]
        cells.append(("✓" if figure.within else "✗") if limit else "")
        before = earlier.get(figure.name)
        table.add_row(*cells, *(["–" if before is None else _text(figure, before)] * bool(earlier)))
    Console(width=100).print(table)


def save(folder: Path, figures: Sequence[Figure]) -> Path:
    """Write the figures as one JSON file and return its path."""
    now, device = datetime.now(UTC), torch.device("cpu")
    path = free_path("readability", device, folder, now)
    values: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "time": now.isoformat(timespec="seconds"),
        "environment": environment_of(device),
        "figures": [asdict(figure) | {"within": figure.within} for figure in figures],
    }
    path.write_text(json.dumps(values, indent=1) + "\n")
    return path


def _read(path: Path) -> dict[str, float]:
    values = json.loads(path.read_text())
    if values.get("format") != FORMAT:
        raise SystemExit(f"{path} holds no figures of readability: its format is not {FORMAT!r}")
    return {figure["name"]: figure["value"] for figure in values["figures"]}


def _offenders(package: str, files: Sequence[File], beside: Sequence[File]) -> list[str]:
    """A line for everything that a limit is about, so that it can be looked up and mended."""
    every = [*files, *beside]
    small = [file for file in files if file.lines <= SMALL and file.path.name != DOOR]
    names = sentence_names(names_of(every)).most_common()
    imports = sorted({name for name, past in imports_between_rooms(every, package) if past})
    questions = [
        f"question: {file.path}: {text.splitlines()[0]}"
        for file in every
        for text in docstrings([file])
        if opens_with_question(text)
    ]
    return [
        *(f"small: {file.path} ({file.lines} lines)" for file in small),
        *questions,
        *(f"past a door: {name}" for name in imports),
        *(f"name: {name} ({count} times)" for name, count in names),
    ]


def _share(count: int, every: Sequence[object]) -> float:
    return count / max(len(every), 1)


def _limit(figure: Figure) -> str:
    if figure.least is not None and figure.most is not None:
        return f"{_text(figure, figure.least)} to {_text(figure, figure.most)}"
    return "" if figure.most is None else f"≤ {_text(figure, figure.most)}"


def _text(figure: Figure, value: float) -> str:
    return f"{100 * value:.3g} %" if figure.share else f"{value:,g}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readability")
    parser.add_argument("--list", action="store_true", help="a line for whatever a limit is about")
    parser.add_argument("--smoke", action="store_true", help="nothing written")
    parser.add_argument("--against", type=Path, help="an earlier result to show beside")
    out = ROOT / "results" / "benchmarks"
    parser.add_argument("--out", type=Path, default=out, help="folder for the result")
    return parser


if __name__ == "__main__":
    main()
