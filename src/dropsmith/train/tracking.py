"""The numbers of a run in trackers such as TensorBoard, Weights & Biases, MLflow and Trackio.

Accelerate has a class for each; a run gives them its configuration, the row of its curve after each
evaluation, and at its end its scores. A run is the same whether it is tracked or not.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.train._setup import Setup
from dropsmith.train.progress import EvaluationListener

PROJECT = "dropsmith"
"""The project, or experiment, of every run in a tracker."""

FOLDER = "tracking"
"""The folder beside the runs into which trackers write that have files."""

_LONGEST = 250
"""Characters of a setting; MLflow takes no more."""

Tracker = Any
"""The name of a tracker, or a `GeneralTracker` of Accelerate that was made already."""


def check_trackers(trackers: Sequence[Tracker]) -> None:
    """Raise `TaskError` for the first tracker that there is not, or whose library is not installed.

    >>> check_trackers(["tensorbord"])
    Traceback (most recent call last):
    dropsmith.errors.TaskError: no tracker is called 'tensorbord'
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
            raise TaskError(
                f"no tracker is called {excerpt(tracker)}\n  there are: {', '.join(known)}"
                + did_you_mean(tracker, known)
            )
        if tracker not in installed:
            library = tracker.replace("_", "-")
            raise TaskError(
                f"the tracker {tracker} needs the library {library}, which is not installed\n"
                f"  pip install {library}"
            )


class Tracking:
    """The trackers of one run while it is made, for a `with` block: a listener to its evaluations.

    A tracker that fails once the run has begun is left out, which one line on standard error says.

    Args:
        trackers: their names, or trackers of Accelerate; none for `listener` alone.
        setup: of the run.
        folder: of the run, beside whose siblings the trackers' files go.
        listener: that hears of each evaluation first, and may end the run.

    Raises:
        TaskError: on entering, a tracker does not exist, is not installed or cannot begin.
    """

    def __init__(
        self,
        trackers: Sequence[Tracker],
        setup: Setup,
        folder: Path,
        listener: EvaluationListener | None = None,
    ) -> None:
        self.names, self.setup, self.folder, self.listener = trackers, setup, folder, listener
        self.trackers: list[Any] = []

    def __enter__(self) -> "Tracking":
        if self.names:
            check_trackers(self.names)
            self.trackers = self._begin()
        return self

    def __exit__(self, *rest: object) -> None:
        self._each(lambda tracker: tracker.finish())

    def __call__(self, numbers: Mapping[str, float], /) -> None:
        """Hear of an evaluation."""
        if self.listener is not None:
            self.listener(numbers)
        self.log(numbers, int(numbers["step"]))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Note numbers at a step."""
        values = {name: value for name, value in numbers.items() if name != "step"}
        self._each(lambda tracker: tracker.log(values, step=step))

    def _begin(self) -> list[Any]:
        from accelerate import Accelerator

        place = self.folder.parent / FOLDER / self.folder.name
        try:
            with redirect_stdout(sys.stderr):  # what a command prints for machines stays clean
                accelerator = Accelerator(
                    mixed_precision="no", log_with=list(self.names), project_dir=str(place)
                )
                accelerator.init_trackers(
                    PROJECT,
                    config=flat(self.setup.to_json()),
                    init_kwargs=_settings(self.setup, self.folder),
                )
        except Exception as error:
            names = ", ".join(str(getattr(tracker, "name", tracker)) for tracker in self.names)
            raise TaskError(
                f"{names} cannot track the run: {type(error).__name__}: {_line(error)}"
            ) from error
        return list(accelerator.trackers)

    def _each(self, act: Callable[[Any], None]) -> None:
        for tracker in list(self.trackers):
            try:
                with redirect_stdout(sys.stderr):
                    act(tracker)
            except Exception as error:
                self.trackers.remove(tracker)
                print(
                    f"dropsmith: {tracker.name} no longer tracks the run: "
                    f"{type(error).__name__}: {_line(error)}",
                    file=sys.stderr,
                )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration as one level of short numbers and texts, as all trackers take it.

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
    """What trackers are told of a run beside its project; a resumed run goes on where they can."""
    name = f"{Path(setup.task).name} {setup.method} seed {setup.seed}"
    return {
        "wandb": {"name": name, "id": folder.name, "resume": "allow"},
        "trackio": {"name": f"{name} {folder.name}", "resume": "allow"},
        "mlflow": {"run_name": name, "tags": {"record": folder.name}},
    }


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
