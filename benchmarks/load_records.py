"""Loading the records of a folder: from the JSON of each to a value whose id was computed anew."""

import tempfile
from pathlib import Path

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call

from dropsmith.record import Record
from dropsmith.report import runs_in

COUNT = 1000
STORED = Path(__file__).parent.parent / "results" / "sst2"


def ways(_: torch.device) -> dict[str, Call]:
    """A folder of runs like those on SST-2, each under a seed of its own."""
    folder = Path(tempfile.mkdtemp())
    records = [Record.load(path) for path in sorted(STORED.glob("????????????.json"))]
    for number in range(COUNT):
        record = records[number % len(records)]
        Record(
            config=record.config | {"seed": number},
            environment=record.environment,
            curve=record.curve,
            scores=record.scores,
            cost=record.cost,
        ).save(folder)
    paths = sorted(folder.glob("*.json"))
    return {
        "each record": lambda: [Record.load(path) for path in paths],
        "the folder": lambda: runs_in(folder),
    }


CASE = Case(
    name="load_records",
    tests=("tests/record/test_record.py",),
    comparisons=(Comparison(name=f"a folder of {COUNT:,} records", ways=ways),),
)

if __name__ == "__main__":
    main(CASE)
