"""What an objective is: a frozen value that says how many views, and what they should agree on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any

from torch import Tensor

from dropsmith.activations import Reads
from dropsmith.passes import Views
from dropsmith.terms import Loss, Terms

LossFunction = Callable[[Any, Any], Loss]
"""Takes what the model returned for one view and that view's batch."""
WRITTEN = {"batch_fraction": "share", "task_loss_views": "carriers", "noise_free": "quiet"}
"""Settings that have another name in JSON, by which the ids of older records hold."""

RECORDED = "recorded"
"""The key in a field's metadata of the spelling that its words have in JSON."""


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """Turns `Views` into `Terms` and terms into the number to minimise.

    `terms` always holds `"task"`, the mean task loss over the views that carry it; an objective
    adds its own terms under their names. A subclass is a frozen keyword-only dataclass whose
    fields are JSON values, or tuples of them; decorate it with `repr=False` to print as typed.
    """

    @abstractmethod
    def views_at(self, step: int) -> int:
        """How many views training step `step` (from 1) needs; one means the task alone."""

    @property
    def noise_free(self) -> tuple[int, ...]:
        """The views that run with all noise off."""
        return ()

    @property
    def batch_fraction(self) -> float:
        """The leading share of the batch that the second and later views see, in (0, 1]."""
        return 1.0

    @property
    def reads(self) -> Reads | None:
        """What it compares beside the outputs: made with `views(..., reads=objective.reads)`."""
        return None

    @property
    def depends_on_step(self) -> bool:
        """Whether a step differs from another by more than its noise."""
        return False

    @abstractmethod
    def terms(self, views: Views, loss: LossFunction) -> Terms:
        """Sum and count of the task loss and of each consistency term."""

    @abstractmethod
    def total(self, terms: Terms, step: int) -> Tensor:
        """The scalar to minimise at training step `step`."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `objectives.from_json` makes an equal objective."""
        return {"objective": type(self).__name__} | {
            WRITTEN.get(name, name): list(value) if isinstance(value, tuple) else value
            for name, value in self._settings(recorded=True)
        }

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings())
        return f"{type(self).__name__}({settings})"

    def _settings(self, recorded: bool = False) -> list[tuple[str, Any]]:
        # What must be given comes first, as one would type it.
        order = sorted(fields(self), key=lambda field: field.default is not MISSING)
        values = [(field, getattr(self, field.name)) for field in order]
        changed = [(field, value) for field, value in values if value != field.default]
        # A word that has another spelling in JSON says so in its field.
        words = [field.metadata.get(RECORDED, {}) if recorded else {} for field, _ in changed]
        return [
            (field.name, word.get(value, value) if word else value)
            for (field, value), word in zip(changed, words, strict=True)
        ]
