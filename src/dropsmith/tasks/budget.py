"""The length of a run and the settings of its steps, as one value."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.numbers import check_number, check_whole
from dropsmith.tasks.learning_rates import Cosine, Schedule
from dropsmith.tasks.optimisers import AdamW, Optimiser, to_json

_ADAMW, _COSINE = AdamW(), Cosine()
_OPTIONAL_FIELDS = ("optimiser", "schedule", "window", "varying", "reset", "equal", "batches")

Equal = Literal["views", "updates"]
"""What a method of several views has as many of as a method of one view: example-views, that is
forward and backward passes over examples, or updates, that is steps of the optimiser."""

Batches = Literal["random", "length"]
"""Which examples stand in a batch: any, or such of about equal length."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The length of a run, so that methods can be compared, and the settings of its steps.

    Args:
        epochs: passes over the training examples of a one-view method. A two-view method makes
            half as many where example-views are equal, and as many where updates are.
        batch_size: examples a step sees, or all of them where there are fewer.
        learning_rate: the optimiser's, at the top of its schedule.
        weight_decay: the optimiser's.
        warmup: the share of all steps over which the learning rate of `Cosine`, `Linear` and
            `InverseRoot` rises; the other schedules have no rise.
        clip: longest gradient, as the norm over all parameters; None for any length.
        patience: stop after this many evaluations in a row without a better validation
            likelihood; None to run to the end.
        optimiser: how a gradient becomes a step.
        schedule: which share of the learning rate each step has.
        window: how many tokens of each text a step sees, for tasks that read a text from end to
            end; None for the task's own. Transformers are also scored in windows of that length.
        varying: whether the lengths of windows are drawn around that: see `tasks.Stream`.
        reset: the chance that a window in the middle of a text begins without the state of the one
            before it, as in the code of Zolna et al. (2018), where it is 0.01.
        equal: `views`: a method of several views has as many example-views as one of one view,
            and fewer steps; `updates`: it has as many steps, and more example-views.
        batches: `random`: any examples make a batch; `length`: such of about equal length, which
            leaves little padding: see `tasks.group_by_length`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warmup: float = 0.1
    clip: float | None = 1.0
    patience: int | None = None
    optimiser: Optimiser = _ADAMW
    schedule: Schedule = _COSINE
    window: int | None = None
    varying: bool = False
    reset: float = 0.0
    equal: Equal = "views"
    batches: Batches = "random"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            check_whole(name, getattr(self, name), 1, TaskError)
        for name in ("patience", "window"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1, TaskError)
        for name in ("learning_rate", "weight_decay"):
            check_number(name, getattr(self, name), TaskError)
        for name in ("warmup", "reset"):
            check_number(name, getattr(self, name), TaskError, most=1)
        if self.clip is not None:
            check_number("clip", self.clip, TaskError)
        for name, kind in (("equal", Equal), ("batches", Batches)):
            if (value := getattr(self, name)) not in (choices := get_args(kind)):
                raise TaskError(
                    f"{name} is {' or '.join(choices)}, got {excerpt(value)}"
                    + did_you_mean(value, choices)
                )

    def to_json(self) -> dict[str, Any]:
        """JSON values for a record: without what is optional where it is usual.

        >>> "optimiser" in Budget(epochs=1, batch_size=1, learning_rate=1.0).to_json()
        False
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        # Records made before there was a choice keep their ids.
        for field in fields(self):
            if field.name in _OPTIONAL_FIELDS and values[field.name] == field.default:
                del values[field.name]
        if "optimiser" in values:
            values["optimiser"] = to_json(self.optimiser)
        if "schedule" in values:
            values["schedule"] = {"name": type(self.schedule).__name__} | asdict(self.schedule)
        return values
