"""The numbers of a run in trackers such as TensorBoard, Weights & Biases, MLflow and Trackio.

Accelerate has a class for each. A run logs its configuration at its start, the row of its curve
after each evaluation, and its final scores at its end. Tracking changes nothing in a run.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from dropsmith.errors import TrackerError, did_you_mean, excerpt
from dropsmith.train._setup import Setup
from dropsmith.train.progress import EvaluationListener

PROJECT = "dropsmith"
"""The name of the project, which MLflow calls experiment, of every run."""

FOLDER = "tracking"
"""The folder beside the runs for trackers that write files into a given folder."""

_LONGEST = 250
"""Characters of a setting: the limit of MLflow."""

Tracker = Any
"""The name of a tracker, or a `GeneralTracker` of Accelerate."""


def check_trackers(trackers: Sequence[Tracker]) -> None:
    """Raise `TrackerError` for the first tracker that is unknown or not installed.

    >>> check_trackers(["tensorbord"])
    Traceback (most recent call last):
    dropsmith.errors.TrackerError: no tracker is called 'tensorbord'
      there are: aim, clearml, comet_ml, dvclive, mlflow, swanlab, tensorboard, trackio, wandb
      did you mean 'tensorboard'?
    """
    from accelerate.tracking import GeneralTracker, get_available_trackers
    from accelerate.utils import LoggerType

    known = sorted(kind.value for kind in LoggerType if kind is not LoggerType.ALL)
    installed = {getattr(kind, "value", kind) for kind in get_available_trackers()}
    for tracker in trackers:
        if isinstance(tracker, GeneralTracker):
            continue
        if tracker not in known:
            raise TrackerError(
                f"no tracker is called {excerpt(tracker)}\n  there are: {', '.join(known)}"
                + did_you_mean(tracker, known)
            )
        if tracker not in installed:
            library = tracker.replace("_", "-")
            raise TrackerError(
                f"the tracker {tracker} needs the library {library}, which is not installed\n"
                f"  pip install {library}"
            )


class Tracking:
    """The trackers of one run, for a `with` block; a call logs the numbers of an evaluation.

    A tracker that fails during the run is dropped, with one line on standard error. A run that ends
    with an exception ends as failed in MLflow and Weights & Biases.

    Args:
        trackers: names, or trackers of Accelerate; empty for `listener` alone.
        setup: of the run.
        folder: of the run; files of trackers go into `tracking` beside it.
        listener: is called with each evaluation before the trackers, and may end the run.
        is_resumed: whether the run continues from a checkpoint. Otherwise the files that an earlier
            run of this setup left in `tracking` are removed.

    Raises:
        TrackerError: on entering, a tracker does not exist, is not installed or does not start.
    """

    def __init__(
        self,
        trackers: Sequence[Tracker],
        setup: Setup,
        folder: Path,
        listener: EvaluationListener | None = None,
        *,
        is_resumed: bool = False,
    ) -> None:
        self.names, self.setup, self.folder, self.listener = trackers, setup, folder, listener
        self.is_resumed = is_resumed
        self.trackers: list[Any] = []

    def __enter__(self) -> "Tracking":
        if self.names:
            check_trackers(self.names)
            if not self.is_resumed:
                shutil.rmtree(self._place, ignore_errors=True)
            self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._each(partial(_finish, kind=kind))

    def __call__(self, numbers: Mapping[str, float], /) -> None:
        """Log the numbers of an evaluation at its step."""
        if self.listener is not None:
            self.listener(numbers)
        self.log(numbers, int(numbers["step"]))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Log numbers at a step."""
        values = {name: value for name, value in numbers.items() if name != "step"}
        self._each(lambda tracker: tracker.log(values, step=step))

    def log_final(self, scores: Mapping[str, float], step: int) -> None:
        """Log the scores of a finished run, those on validation as of the best weights.

        In the curve, validation scores of the last step are of the last weights.
        """
        names = {
            name: f"best_{name}" if name.startswith("validation_") else name for name in scores
        }
        self.log({names[name]: score for name, score in scores.items()}, step)

    def _start(self) -> None:
        """Start the trackers one by one; those that run are finished where a later one fails."""
        for name in self.names:
            try:
                with redirect_stdout(sys.stderr):  # standard output may be JSON for machines
                    self.trackers += self._tracker(name)
            except Exception as error:
                self._each(partial(_finish, kind=type(error)))
                raise TrackerError(
                    f"the tracker {getattr(name, 'name', name)} did not start: "
                    f"{type(error).__name__}: {_line(error)}\n"
                    "  nothing was trained: mend this, or leave the tracker out"
                ) from error

    def _tracker(self, name: Tracker) -> list[Any]:
        from accelerate import Accelerator

        place = str(self._place)
        accelerator = Accelerator(mixed_precision="no", log_with=[name], project_dir=place)
        accelerator.init_trackers(
            PROJECT,
            config=flat(self.setup.to_json()),
            init_kwargs=_settings(self.setup, self.folder),
        )
        return list(accelerator.trackers)

    @property
    def _place(self) -> Path:
        return self.folder.parent / FOLDER / self.folder.name

    def _each(self, act: Callable[[Any], None]) -> None:
        for tracker in list(self.trackers):
            try:
                with redirect_stdout(sys.stderr):
                    act(tracker)
            except Exception as error:
                self.trackers.remove(tracker)
                print(
                    f"dropsmith: the run goes on without the tracker {tracker.name}, which failed: "
                    f"{type(error).__name__}: {_line(error)}",
                    file=sys.stderr,
                )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration as one level of numbers and short texts, which all trackers accept.

    >>> flat({"seed": 0, "budget": {"epochs": 2, "clip": None}, "samples_without": ["words"]})
    {'seed': 0, 'budget.epochs': 2, 'budget.clip': 'None', 'samples_without': "['words']"}
    """
    rows: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float):
            rows[prefix + name] = value
        else:
            rows[prefix + name] = str(value)[:_LONGEST]
    return rows


def _settings(setup: Setup, folder: Path) -> dict[str, dict[str, Any]]:
    """The name of a run in each tracker, and settings by which a resumed run is continued."""
    name = f"{Path(setup.task).name} {setup.method} seed {setup.seed}"
    return {
        "wandb": {"name": name, "id": folder.name, "resume": "allow"},
        "trackio": {"name": f"{name} {folder.name}", "resume": "allow"},
        "mlflow": {"run_name": name, "tags": {"record": folder.name}},
    }


def _finish(tracker: Any, kind: type[BaseException] | None) -> None:
    """End a tracker's run; as failed or stopped if an exception of this kind ended it."""
    if kind is not None and tracker.name == "mlflow":
        import mlflow  # type: ignore[import-not-found]

        mlflow.end_run(status="FAILED" if issubclass(kind, Exception) else "KILLED")
    elif kind is not None and tracker.name == "wandb":
        tracker.tracker.finish(exit_code=1)
    else:
        tracker.finish()


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
