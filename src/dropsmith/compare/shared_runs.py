"""Runs that two budget rules have in common, put into the folder of the second."""

import os
from pathlib import Path
from shutil import copy2, copytree

from dropsmith.compare.comparison import Comparison
from dropsmith.compare.runs import OTHER_FOLDER
from dropsmith.files import hold_folder
from dropsmith.record import Record
from dropsmith.train import check_run


def share_runs(comparison: Comparison, source: Path, target: Path) -> int:
    """Put the finished runs of methods of one view into another folder; return their number.

    Such a run is the same under the rules `views` and `updates`, so the second comparison finds it
    there and does not make it again. Models are linked where the disk can, and copied elsewhere.

    Args:
        comparison: made under one of the two rules.
        source: its folder.
        target: the folder of the comparison under the other.
    """
    runs = [run for run in comparison.records if _is_shared(run)]
    target.mkdir(parents=True, exist_ok=True)
    with hold_folder(target, OTHER_FOLDER):
        missing = [run for run in runs if not (target / f"{run.id}.json").exists()]
        for run in missing:
            if (source / run.id).is_dir():
                copytree(source / run.id, target / run.id, copy_function=_link, dirs_exist_ok=True)
            run.save(target)
    return len(missing)


def _is_shared(run: Record) -> bool:
    config = check_run(run).config
    return run.status == "finished" and config["objective"].get("objective") == "TaskLoss"


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        copy2(source, target)
