"""Data sets from the Hub, with errors that say what to do without them."""

from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, MissingExtra, excerpt
from dropsmith.hub import retries_said_once


def load_from_hub(path: str, config: str | None, task: str, alternatives: str | None = None) -> Any:
    """The splits of a data set by name.

    Args:
        path, config: what `datasets` calls it.
        task: whose data it is, for messages.
        alternatives: tasks like it that read a folder, where this one reads the Hub alone.

    Raises:
        MissingExtra: `datasets` is not installed.
        DataError: the Hub cannot be reached, or has no such data set.
    """
    try:
        import datasets
    except ImportError:
        raise MissingExtra(f"the task {task} without --data", "datasets", "transformers") from None
    try:
        with retries_said_once():
            return datasets.load_dataset(path, config)
    except Exception as error:  # the kinds of failure offline are many, and not its own to list
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"cannot fetch {excerpt(path)} from the Hub for the task {task}\n"
            f"  {type(error).__name__}: {reason}\n"
            f"  {_advice(alternatives)}"
        ) from None


def _advice(tasks: str | None) -> str:
    if tasks is None:
        return "give a local folder instead: --data DIR"
    return f"it is on the Hub alone; a folder is read by {tasks}"


def subfolder(folder: Path, name: str) -> Path:
    """The folder of a set inside a folder of several; the folder itself where it has none.

    >>> subfolder(Path("nowhere"), "multi30k")
    PosixPath('nowhere')
    """
    inside = folder / name
    return inside if inside.is_dir() else folder
