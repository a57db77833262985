"""From a CSV file to predictions for new rows, with their uncertainty.

The table has a column `review`, a column `stars` and a column `id`. `dropsmith train` learns to
predict the stars and leaves a folder with all that using the model takes. `dropsmith.load` reads
it, and the predictions of new rows are a CSV file again: class, probabilities, entropy and mutual
information. Without `--data` a small table of reviews is made up.

    python examples/own_table.py
    python examples/own_table.py --data reviews.csv --new new.csv --out predictions.csv

The same with the class of a row replaced by a number is a regression, and columns of numbers and
categories in place of the text are read as well.
"""

import argparse
import csv
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dropsmith
from dropsmith.cli import main as dropsmith_command

GOOD = ("wonderful", "moving", "clever", "funny", "great")
BAD = ("dull", "boring", "weak", "predictable", "slow")
REST = ("film", "story", "actors", "scene", "plot", "camera")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, load, predict, write."""
    args = arguments(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, new = args.data or folder / "reviews.csv", args.new or folder / "new.csv"
        if args.data is None:
            write_reviews(table, new)
        run = train(table, folder / "runs", args.epochs)
        predictor = dropsmith.load(run)
        prediction = predictor.predict(new, samples=args.samples)
        frame = prediction.to_frame()
        frame.to_csv(args.out)
    print(f"\n{len(frame)} new rows, predicted with {prediction.samples} passes: {args.out}")
    print(frame.sort_values("mutual_information", ascending=False).head(3).to_string())


def train(table: Path, folder: Path, epochs: int) -> Path:
    """Train on a table as the command line does; the folder of the finished run."""
    command = f"train {table} --text-column review --label-column stars --id-column id"
    command += f" --with r-drop --set rate=0.1 --set alpha=1 --budget {epochs} --out {folder}"
    try:
        dropsmith_command(command.split())
    except SystemExit as end:
        if end.code:
            raise
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    return run


def write_reviews(table: Path, new: Path) -> None:
    """Reviews of twelve words, with stars by their words; the new ones are without stars."""
    draw = random.Random(0)
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "review", "stars"])
        for number in range(300):
            rows.writerow([number, review(draw, number % 2 == 0), ("five", "one")[number % 2]])
    with new.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "review"])
        rows.writerows([f"new-{number}", review(draw, number < 5)] for number in range(10))


def review(draw: random.Random, good: bool) -> str:
    """Words at random, a third of them of one kind."""
    kind = GOOD if good else BAD
    return " ".join(draw.choice(kind if draw.random() < 0.33 else REST) for _ in range(12))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a table with the columns id, review and stars")
    parser.add_argument("--new", type=Path, help="a table with the columns id and review")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"))
    parser.add_argument("--epochs", type=int, default=20, help="passes over the examples")
    parser.add_argument("--samples", type=int, default=50, help="passes with dropout")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
