"""A table of runs that were made one by one, where there is no comparison to speak of."""

from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.record import Record, a_record_id_of_12_hexadecimal_digits
from dropsmith.report.cells import Cell, Grid
from dropsmith.report.numbers import DETAILS, METRICS, megabytes, seconds
from dropsmith.train import check_run


def runs_in(folder: Path) -> tuple[Record, ...]:
    """Every record in a folder, by task, method and seed.

    Raises:
        DataError: there is none, or a file named like a record holds none.
    """
    paths = (
        path for path in folder.glob("*.json") if a_record_id_of_12_hexadecimal_digits(path.stem)
    )
    records = [check_run(Record.load(path)) for path in paths]
    if not records:
        raise DataError(
            f"no comparison and no records in {folder}\n"
            f"  to make one: dropsmith compare digits --out {folder}"
        )
    return tuple(sorted(records, key=_place))


def runs_grid(records: tuple[Record, ...]) -> Grid:
    """One row a run, with the scores that any of them has."""
    names = [
        name
        for name in METRICS
        if name not in DETAILS and any(name in record.scores for record in records)
    ]
    return Grid(
        "Runs made one by one, not on equal terms, and so not compared",
        ("record", "task", "method", "seed", *(METRICS[name].head for name in names), "a run"),
        tuple(_row(record, names) for record in records),
    )


def starting_weights(record: Record) -> str | None:
    """The weights that a run began from, in words; None where its seed drew them."""
    sha256 = record.config.get("start")
    if sha256 is None:
        return None
    start, hash_words = record.environment.get("start", {}), f"SHA-256 {sha256[:12]}…"
    if "file" in start:
        return f"the weights in {start['file']}, {hash_words}"
    if not start:
        return f"weights of {hash_words}"
    task, method, seed = (start.get(name) for name in ("task", "method", "seed"))
    return f"the best weights of {start.get('record')} ({task} with {method}, seed {seed})"


def _row(record: Record, names: list[str]) -> tuple[Cell, ...]:
    config, cost = record.config, record.cost
    scores = (
        Cell(METRICS[name].value(record.scores[name]) if name in record.scores else "–")
        for name in names
    )
    time = seconds(cost["seconds"]) if "seconds" in cost else "–"
    peak = megabytes(cost["peak_memory_bytes"]) if "peak_memory_bytes" in cost else ""
    status = "" if record.status == "finished" else record.status
    return (
        Cell(record.id, status),
        *(Cell(str(config.get(name, "–"))) for name in ("task", "method", "seed")),
        *scores,
        Cell(time, peak),
    )


def _place(record: Record) -> tuple[str, str, int, str]:
    config = record.config
    return (
        str(config.get("task")),
        str(config.get("method")),
        int(config.get("seed", 0)),
        record.id,
    )
