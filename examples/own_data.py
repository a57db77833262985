"""From your own data to predictions for new examples, with their uncertainty.

The data is a table of texts, a table of numbers, or a folder of images; the words `texts`,
`numbers` and `images` stand for data that comes with Python and scikit-learn. Three steps:

1. `dropsmith compare` prints a table of methods and says which one to use;
2. the folder of that method's run holds the model, which needs the data no more;
3. `dropsmith predict` writes one row for each new example: prediction, probabilities and how
   unsure they are.

    python examples/own_data.py texts
    python examples/own_data.py numbers --folder first_run
    python examples/own_data.py reviews.csv new.csv --with dropout,r-drop --label-column stars

All further options are those of `dropsmith compare`.
"""

import argparse
import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from example_data import WRITERS

from dropsmith.cli import main as command_line
from dropsmith.compare import Comparison, answer

OPTIONS = {
    "texts": "--label-column module --with dropout,r-drop",
    "images": "--with dropout,r-drop --limit 400",
    "numbers": "--label-column progression --with dropout,r-drop",
}
"""Options of `dropsmith compare` for the data of this example."""


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, choose, predict."""
    args, options = arguments(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    data, new = Path(args.data), args.new
    if args.data in WRITERS:
        data, new = WRITERS[args.data](args.folder)
        options = [*OPTIONS[args.data].split(), *options]
    runs = args.folder / "runs" / data.name
    predictions = args.folder / f"{data.stem}_predictions.csv"
    dropsmith("compare", data, *options, "--out", runs)
    record = answer(Comparison.load(runs)).record
    if record is None:
        sys.exit("no model to use yet: the command above says how to go on")
    dropsmith("predict", runs / record, new, "--samples", args.samples, "--out", predictions)
    show_least_certain(predictions)


def dropsmith(*words: object) -> None:
    """Run a command as it would be typed, and show it."""
    line = [str(word) for word in words]
    print(f"\n$ dropsmith {shlex.join(line)}\n", flush=True)
    try:
        command_line(line)
    except SystemExit as end:
        if end.code:
            raise


def show_least_certain(predictions: Path) -> None:
    """Print the rows in which the passes with dropout differ most."""
    with predictions.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    measure = next(name for name in ("mutual_information", "standard_deviation") if name in rows[0])
    if not rows[0][measure]:  # the model has no dropout
        return
    rows.sort(key=lambda row: -float(row[measure]))
    print(f"\nThe least certain of {len(rows)} new examples:")
    for row in rows[:3]:
        print(f"  {row['id']}: {row['prediction']} ({measure.replace('_', ' ')} {row[measure]})")


def arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """What can be chosen, and the options of `dropsmith compare`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", help="a table, a folder of images, or texts, numbers, images")
    parser.add_argument("new", nargs="?", type=Path, help="new examples of the same kind")
    parser.add_argument("--folder", type=Path, default=Path("first_run"), help="for all files")
    parser.add_argument("--samples", type=int, default=50, help="passes with dropout")
    args, options = parser.parse_known_args(argv)
    if args.data not in WRITERS and args.new is None:
        parser.error("name the new examples after the data")
    return args, options


if __name__ == "__main__":
    main()
