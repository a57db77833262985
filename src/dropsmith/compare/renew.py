"""Records of an earlier version under their present ids, which no path of data enters any more."""

from collections.abc import Mapping
from pathlib import Path

from dropsmith.compare.comparison import FILE, Comparison
from dropsmith.errors import DataError
from dropsmith.record import Record


def renew(folder: Path) -> int:
    """Write the records in `folder`, and its comparison, as this version does; count the renamed.

    The numbers are untouched. A folder that is as this version writes it stays as it is.

        python -c "import pathlib, dropsmith.compare as c; c.renew(pathlib.Path('runs/sst2'))"

    Raises:
        DataError: a record cannot be read, or two are of one run, as where a path was typed in two
            ways; nothing is changed then.
    """
    names = [path for path in sorted(folder.glob("*.json")) if path.name != FILE]
    records = {path: Record.load(path) for path in names}
    _check_each_once(records)
    comparison = Comparison.load(folder) if (folder / FILE).exists() else None
    for record in records.values():
        record.save(folder)
    if comparison is not None:
        comparison.save(folder)
    old = [path for path, record in records.items() if path.stem != record.id]
    for path in old:
        path.unlink()
    return len(old)


def _check_each_once(records: Mapping[Path, Record]) -> None:
    first: dict[str, Path] = {}
    for path, record in records.items():
        if (other := first.setdefault(record.id, path)) != path:
            raise DataError(
                f"{other.name} and {path.name} in {path.parent} are records of one run, "
                f"{record.id}\n  keep one of them, and move the other elsewhere"
            )
