"""Ship a plan that was learned, under a name, with the runs that it rests on.

    python docs/learned.py results/search-digits NAME

Of the folder of a search it takes `plan.json` and the records of the comparison afterwards that
were trained with that plan. `Plan.load("NAME")` then finds it.
"""

import json
import sys
from pathlib import Path

from dropsmith.compare import Comparison
from dropsmith.learn import LEARNED, PLAN, RETRAINED
from dropsmith.plans import Plan

SHELF = Path(__file__).parent.parent / "src" / "dropsmith" / "plans" / "learned"


def ship(folder: Path, name: str, shelf: Path = SHELF) -> None:
    """Write the plan and its records; `SystemExit` where no run was trained with the plan."""
    plan = Plan.load(folder / PLAN)
    row = Comparison.load(folder / RETRAINED).row(LEARNED)
    records = [] if row is None else list(row.finished_records)
    if not records or any(one.config["plan"] != plan.for_records() for one in records):
        raise SystemExit(f"the runs in {folder / RETRAINED} were not trained with {folder / PLAN}")
    plan.save(shelf / f"{name}.json")
    values = [record.to_json() for record in records]
    (shelf / f"{name}.records.json").write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    ship(Path(sys.argv[1]), sys.argv[2])
