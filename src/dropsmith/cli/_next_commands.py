"""The last lines of `dropsmith train`: what can be typed next, with the folder in its place."""

import shlex
from pathlib import Path
from typing import Any

_NEW = {"pictures": "PICTURES"}
"""What stands for new examples of a kind; a table elsewhere."""


def next_commands(run: Path) -> list[str]:
    """The lines that say how new examples are predicted by the model in a run's folder.

    Nothing where the folder is one that an earlier version left.
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
    except (OSError, DataError):  # loading it says what is wrong
        return []
    if steps is None:
        return [f"To predict with it in Python: dropsmith.load({str(run)!r})"]
    new = _NEW.get(steps.get("kind"), "new.csv")
    own = f" --model {model['function']}" if model["source"] == "function" else ""
    return [
        "To predict new examples:",
        f"  dropsmith predict {place} {new} --out predictions.csv{own}",
    ]
