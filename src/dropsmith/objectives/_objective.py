"""The base of objectives: frozen values with the number of views of a step, and its loss."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from torch import Tensor

from dropsmith.activations import Reads
from dropsmith.errors import ObjectiveError, excerpt
from dropsmith.numbers import LARGEST_COUNT, LARGEST_WEIGHT, is_count
from dropsmith.passes import Views
from dropsmith.terms import Loss, Terms
from dropsmith.user_code import recorded_name

LossFunction = Callable[[Any, Any], Loss]
"""Takes what the model returned for one view and that view's batch."""
NAMES_IN_JSON = {"batch_fraction": "share", "task_loss_views": "carriers", "noise_free": "quiet"}
"""Settings that have another name in JSON, so that the ids of older records hold."""

MOST_VIEWS = 1000
"""The most views that an objective takes of a batch."""

JSON_WORDS = "recorded"
"""The key, in a field's metadata, of the spelling that its words have in JSON."""


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """The loss of a training step: terms computed from `Views`, and their weighted sum.

    `terms` always holds `"task"`, the mean task loss over the views that carry it; an objective
    adds its own terms under their names. `total` is the number to minimise. A subclass is a frozen
    keyword-only dataclass whose fields are JSON values, or tuples of them; decorate it with
    `repr=False` to print as typed.
    """

    @abstractmethod
    def views_at(self, step: int) -> int:
        """The number of views that step `step` (from 1) needs; one view has the task loss alone."""

    @property
    def noise_free(self) -> tuple[int, ...]:
        """The numbers of the views that run with all noise off."""
        return ()

    @property
    def strata(self) -> int:
        """The number of views whose masks are stratified together; 0 for independent masks."""
        return 0

    @property
    def batch_fraction(self) -> float:
        """The leading share of the rows that the second and later views see, in (0, 1]."""
        return 1.0

    @property
    def reads_unlabelled(self) -> bool:
        """Whether a term counts rows without a label, so that a batch should have some."""
        return False

    @property
    def augment(self) -> bool:
        """Whether the second view sees rows without a label augmented, and the first does not."""
        return False

    @property
    def reads(self) -> Reads | None:
        """The parts of the model that it compares beside the outputs, for `views(..., reads=)`."""
        return None

    @property
    def depends_on_step(self) -> bool:
        """Whether the loss depends on the number of the step, as it does with a warmup."""
        return False

    @abstractmethod
    def terms(self, views: Views, loss: LossFunction) -> Terms:
        """Sum and count of the task loss and of each consistency term."""

    @abstractmethod
    def total(self, terms: Terms, step: int) -> Tensor:
        """The scalar to minimise at training step `step`, from its terms."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `objectives.from_json` makes an equal objective."""
        return {"objective": recorded_name(type(self))} | {
            NAMES_IN_JSON.get(name, name): list(value) if isinstance(value, tuple) else value
            for name, value in self._settings(for_json=True)
        }

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings())
        return f"{type(self).__name__}({settings})"

    def _settings(self, for_json: bool = False) -> list[tuple[str, Any]]:
        # What must be given comes first, as one would type it.
        order = sorted(fields(self), key=lambda field: field.default is not MISSING)
        values = [(field, getattr(self, field.name)) for field in order]
        non_defaults = [(field, value) for field, value in values if value != field.default]
        # A word that has another spelling in JSON says so in its field.
        words = [
            field.metadata.get(JSON_WORDS, {}) if for_json else {} for field, _ in non_defaults
        ]
        return [
            (field.name, word.get(value, value) if word else value)
            for (field, value), word in zip(non_defaults, words, strict=True)
        ]


def check_number(value: Any, name: str) -> None:
    """Raise `ObjectiveError` unless field `name` is a number from 0 to `LARGEST_WEIGHT`."""
    number = getattr(value, name)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not 0 <= number <= LARGEST_WEIGHT:
        is_larger = is_number and LARGEST_WEIGHT < number < math.inf
        bound = f"≤ {LARGEST_WEIGHT:g}" if is_larger else "≥ 0"
        raise ObjectiveError(
            f"{type(value).__name__}: {name} must be a finite number {bound}, got {excerpt(number)}"
        )


def check_fraction(value: Any, name: str) -> None:
    """Raise `ObjectiveError` unless field `name` is a number above 0 and at most 1."""
    check_number(value, name)
    if not 0 < (number := getattr(value, name)) <= 1:
        raise ObjectiveError(f"{value}: {name} must be in (0, 1], got {number}")


def check_integer(value: Any, name: str, *, minimum: int, maximum: int = LARGEST_COUNT) -> None:
    """Raise `ObjectiveError` unless field `name` is an integer in this range."""
    number = getattr(value, name)
    if not is_count(number, minimum, maximum):
        is_larger = isinstance(number, int) and number > maximum
        bound = f"≤ {maximum}" if is_larger else f"≥ {minimum}"
        raise ObjectiveError(
            f"{type(value).__name__}: {name} must be an integer {bound}, got {excerpt(number)}"
        )


def make_tuple(value: Any, name: str) -> None:
    """Put a tuple in place of the list in field `name`; `ObjectiveError` where it is neither."""
    items = getattr(value, name)
    if not isinstance(items, list | tuple):
        raise ObjectiveError(
            f"{type(value).__name__}: {name} must be a tuple of numbers such as (0, 1), "
            f"got {excerpt(items)}"
        )
    object.__setattr__(value, name, tuple(items))


def check_view(value: Any, view: Any) -> None:
    """Raise `ObjectiveError` unless `view` is None or one of the views that `value` makes."""
    if view is None:
        return
    if not is_count(view, 0, value.views - 1):
        raise ObjectiveError(
            f"{excerpt(value)}: there is no view {excerpt(view)}; views are numbered from 0 to "
            f"{value.views - 1}"
        )
