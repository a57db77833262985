"""Small data sets as a user has them: a table of texts, a folder of images, a table of numbers.

They come with Python and scikit-learn, so nothing is downloaded. Each has new examples beside it,
without labels, for a trained model to predict:

- `sentences.csv`: sentences of docstrings of Python's standard library, and the module of each;
- `digit_images/`: scikit-learn's images of handwritten digits, one folder a class;
- `diabetes.csv`: ten measurements of patients, and the progression of their disease a year later.

    python examples/example_data.py my_data
    dropsmith compare my_data/diabetes.csv
"""

import argparse
import csv
import importlib
import inspect
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits

MODULES = ("argparse", "asyncio.events", "decimal", "http.client", "logging", "pathlib", "tarfile")

NEW = 20
"""New examples of each data set."""


def main(argv: Sequence[str] | None = None) -> None:
    """Write all three into a folder."""
    args = arguments(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    for write in WRITERS.values():
        data, new = write(args.folder)
        print(f"{data}, and new examples in {new}")


def write_sentences(folder: Path) -> tuple[Path, Path]:
    """A table of texts and classes; the paths of the table and of the new rows."""
    sentences = list(docstrings())
    random.Random(0).shuffle(sentences)
    rows = [(f"s{number}", *row) for number, row in enumerate(sentences)]
    return (
        write_rows(folder / "sentences.csv", ("id", "sentence", "module"), rows[NEW:]),
        write_rows(
            folder / "new_sentences.csv", ("id", "sentence"), [row[:2] for row in rows[:NEW]]
        ),
    )


def write_digits(folder: Path) -> tuple[Path, Path]:
    """A folder of images with one subfolder a class, and a folder of new images."""
    data, new = folder / "digit_images", folder / "new_digit_images"
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = new if number < NEW else data / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).save(place / f"digit{number}.png")
    return data, new


def write_diabetes(folder: Path) -> tuple[Path, Path]:
    """A table of numbers with a value to predict, and new rows."""
    table = load_diabetes(scaled=False)
    names = tuple(table.feature_names)
    rows = [
        (f"p{number}", *row, target)
        for number, (row, target) in enumerate(zip(table.data, table.target, strict=True))
    ]
    return (
        write_rows(folder / "diabetes.csv", ("id", *names, "progression"), rows[NEW:]),
        write_rows(folder / "new_diabetes.csv", ("id", *names), [row[:-1] for row in rows[:NEW]]),
    )


WRITERS = {"texts": write_sentences, "images": write_digits, "numbers": write_diabetes}
"""The writer of each kind of data."""


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """A CSV file; its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def docstrings() -> Iterator[tuple[str, str]]:
    """Each sentence of a module's own docstrings, once, with the module's name."""
    for name in MODULES:
        module = importlib.import_module(name)
        found = [value for value in vars(module).values() if inspect.isclass(value)]
        found += [part for one in found for part in vars(one).values() if callable(part)]
        texts = [inspect.getdoc(one) or "" for one in (module, *found)]
        sentences = (s.strip() for text in texts for s in re.split(r"(?<=[.:])\s+", text))
        for sentence in dict.fromkeys(" ".join(s.split()) for s in sentences):
            if len(sentence.split()) >= 4:
                yield sentence, name


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for the files")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
