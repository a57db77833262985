"""The last lines of `dropsmith train`: the next commands, with the folder of the run."""

import shlex
from pathlib import Path
from typing import Any

_NEW = {"pictures": "PICTURES"}
"""The placeholder for new examples of a kind; a table for all others."""


def next_commands(run: Path) -> list[str]:
    """The lines about predicting new examples with the model in a run's folder.

    None for a folder of an earlier version.
    """
    from dropsmith.errors import DataError
    from dropsmith.files import read_json
    from dropsmith.run_folder import PREPROCESSING, RunDescription, describes_run

    if not describes_run(run):
        return []
    place = shlex.quote(str(run))
    try:
        model = RunDescription.load(run).model
        steps: Any = read_json(run / PREPROCESSING) if (run / PREPROCESSING).exists() else None
    except (OSError, DataError):  # `load` reports the error
        return []
    if steps is None:
        return [f"To predict with it in Python: dropsmith.load({str(run)!r})"]
    new = _NEW.get(steps.get("kind"), "new.csv")
    own = f" --model {model['function']}" if model["source"] == "function" else ""
    return [
        "To predict new examples:",
        f"  dropsmith predict {place} {new} --out predictions.csv{own}",
    ]
