"""The records of runs in a folder: read by the setup of a run, or moved to their present ids."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from dropsmith.compare.comparison import FILE, Comparison
from dropsmith.errors import CheckpointError, DataError
from dropsmith.record import Record, config_id
from dropsmith.tasks import (
    DataOptions,
    cached_by_files,
    find_task,
    model_hash,
    with_model,
    with_unlabelled,
)
from dropsmith.train import Setup, code_hash

CRASH_STATUS, LOST_STATUS = "crashed", "lost"
"""The begins of the statuses of a run that raised an error, and of one that was lost by a fault
from outside: its process was killed, memory or the disk failed. Either is run again by the next
call."""


def has_result(record: Record) -> bool:
    """True if a run finished, or was stopped by what its own numbers were."""
    return not record.status.startswith((CRASH_STATUS, LOST_STATUS))


def is_lost(record: Record) -> bool:
    """True if a run was lost by a fault from outside."""
    return record.status.startswith(LOST_STATUS)


def setup_id(setup: Setup) -> str:
    """The id of the record of a run of this setup."""
    return config_id(setup.to_json())


def stored_record(setup: Setup, folder: Path) -> Record | None:
    """The record of an earlier run of this setup, unless that run crashed or was lost.

    Raises:
        CheckpointError: that run was made on other data, with another model or other code.
    """
    path = folder / f"{setup_id(setup)}.json"
    if not path.exists():
        return None
    record = Record.load(path)
    if not has_result(record):
        return None
    if record.environment.get("data_sha256", data_hash(setup)) != data_hash(setup):
        raise CheckpointError(
            f"the run in {path} was trained on other data: the hash differs\n"
            "  keep the runs on the new data apart: --out DIR"
        )
    if setup.unlabelled is not None and (
        record.environment.get("unlabelled_sha256") != unlabelled_hash(setup)
    ):
        raise CheckpointError(
            f"the run in {path} was trained with other examples without a label: the hash differs\n"
            "  keep the runs on the new examples apart: --out DIR"
        )
    if record.environment.get("model_sha256") != model_sha256(setup):
        raise CheckpointError(
            f"the run in {path} was trained with another version of {setup.model}: the hash of "
            "its code and shapes differs\n"
            "  make it anew: --again, or keep the runs of the new model apart: --out DIR"
        )
    if record.environment.get("code_sha256") != code_hash(setup):
        raise CheckpointError(
            f"the run in {path} was trained with another version of your own code: the "
            "hash of its source differs\n"
            "  make it anew: --again, or keep the runs with the new code apart: --out DIR"
        )
    return record


def data_hash(setup: Setup) -> str:
    """The hash of the examples a setup is run on, which are read once per process."""
    where = None if setup.data is None else Path(setup.data)
    task = find_task(setup.task, where, setup.data_options)
    data = task.load(where, setup.limit_of_data)
    if setup.model is not None and ":" not in setup.model:
        # A pretrained model has tokens, or pictures of a size, of its own.
        data = with_model(task, setup.model, data).load(where, setup.limit_of_data)
    return data.sha256


def unlabelled_hash(setup: Setup) -> str | None:
    """The hash of the examples without a label that come from another place; None for none.

    They are read once for all setups of one place and one task, and anew where a file has changed.
    """
    if setup.unlabelled is None:
        return None
    where = None if setup.data is None else Path(setup.data)
    limit = setup.limit_of_data
    return _unlabelled_sha256(
        Path(setup.unlabelled), setup.model, setup.task, where, limit, setup.data_options
    )


@cached_by_files(8)
def _unlabelled_sha256(
    place: Path,
    model: str | None,
    name: str,
    where: Path | None,
    limit: int | None,
    data_options: DataOptions,
) -> str | None:
    task = find_task(name, where, data_options)
    if model is not None:
        task = with_model(task, model, task.load(where, limit))
    return with_unlabelled(task, task.load(where, limit), None, str(place)).unlabelled_sha256


def model_sha256(setup: Setup) -> str | None:
    """The hash of the model of a setup, which is made once for it; None for a task's own."""
    if setup.model is None:
        return None
    limit = setup.limit_of_data
    return _model_sha256(setup.model, setup.task, setup.data, limit, setup.data_options)


@lru_cache(maxsize=8)
def _model_sha256(
    model: str, task: str, data: str | None, limit: int | None, data_options: DataOptions
) -> str | None:
    where = None if data is None else Path(data)
    return model_hash(model, find_task(task, where, data_options).load(where, limit))


def migrate_records(folder: Path) -> int:
    """Write the records in `folder`, and its comparison, as this version does; count the renamed.

    Records of an earlier version get their present ids, which no path of data enters any more.

    The numbers are untouched. A folder that is as this version writes it stays as it is.

        python -c "from pathlib import Path; from dropsmith.compare import migrate_records; \\
            migrate_records(Path('runs/sst2'))"

    Raises:
        DataError: a record cannot be read, or two are of one run, as where a path was typed in two
            ways; nothing is changed then.
    """
    paths = [path for path in sorted(folder.glob("*.json")) if path.name != FILE]
    records = {path: Record.load(path) for path in paths}
    _check_one_record_a_run(records)
    comparison = Comparison.load(folder) if (folder / FILE).exists() else None
    for record in records.values():
        record.save(folder)
    if comparison is not None:
        comparison.save(folder)
    old = [path for path, record in records.items() if path.stem != record.id]
    for path in old:
        path.unlink()
    return len(old)


def _check_one_record_a_run(records: Mapping[Path, Record]) -> None:
    first: dict[str, Path] = {}
    for path, record in records.items():
        if (earlier := first.setdefault(record.id, path)) != path:
            raise DataError(
                f"{earlier.name} and {path.name} in {path.parent} are records of one run, "
                f"{record.id}\n  keep one of them, and move the other elsewhere"
            )
