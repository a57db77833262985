"""The trials of a study as read from its storage, with all checks."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NotRequired

from typing_extensions import TypedDict

from dropsmith.errors import SearchError, excerpt
from dropsmith.files import Count, check
from dropsmith.pattern_search.spaces.space import Space
from dropsmith.pattern_search.trial import STORED_NAMES, Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

BEGIN_FIELDS = ("proposal_index", "version", "log_probability", "seed", "retry", "retry_of")
END_FIELDS = ("status", "score", "why", "seconds", "worker", "tell_order")

_STATES = {"finished": "COMPLETE", "stopped": "PRUNED"}
"""Optuna's words for how a trial ended, where it is not `FAIL`."""


class End(TypedDict):
    """The attribute that holds how a trial ended; `Trial` says what the fields are."""

    status: Literal["finished", "stopped", "failed", "lost", "interrupted"]
    score: float | None
    why: str
    seconds: float | None
    worker: str
    told: Count | None


class Attributes(TypedDict):
    """The attributes that a search gives a trial; others may be beside them."""

    asked: Count
    tokens: list[Count]
    plan: NotRequired[dict[str, Any]]
    version: NotRequired[Count]
    log_probability: NotRequired[float]
    seed: NotRequired[Count]
    retry: NotRequired[Count]
    retry_of: NotRequired[Count | None]
    end: NotRequired[End]


def read_trial(frozen: "FrozenTrial", space: Space) -> Trial:
    """A trial of a study as a value.

    Raises:
        SearchError: an attribute, parameter or state cannot be so; the message names it.
    """
    stored = {name: v for name, v in frozen.user_attrs.items() if name in _NAMES}
    attributes = check(stored, Attributes, SearchError)
    tokens = tuple(attributes["tokens"])
    choices = space.describe(tokens)
    for name, value in choices.items():
        if frozen.params.get(name) != value:
            raise SearchError(
                f"parameter {name} is {excerpt(frozen.params.get(name))}, but its token means "
                f"{excerpt(value)}"
            )
    if not isfinite(attributes.get("log_probability", 0.0)):
        raise SearchError(f"field log_probability is {attributes.get('log_probability')}")
    check(frozen.intermediate_values, dict[int, float], SearchError)
    check(frozen.system_attrs, dict[str, Any], SearchError)
    for name, value in frozen.system_attrs.items():  # in which pruners keep scores
        if name.startswith("completed_rung_") and type(value) not in (int, float):
            raise SearchError(f"field {name} should be a number, but is {excerpt(value)}")
    trial = Trial(
        number=frozen.number,
        tokens=tokens,
        choices=choices,
        plan=space.plan(tokens),
        reports=tuple(sorted(frozen.intermediate_values.items())),
        **_fields(attributes, BEGIN_FIELDS),
        **_fields(attributes.get("end", {}), END_FIELDS),
    )
    _check_end(frozen, trial)
    return trial


def check_together(trials: Sequence[Trial]) -> None:
    """Raise `SearchError` if valid trials cannot all belong to one search."""
    orders: set[int | None] = set()
    numbers = {trial.number for trial in trials}
    for trial in trials:
        if trial.tell_order is not None and trial.tell_order in orders:
            raise trial_error(trial.number, f"field end.told is {trial.tell_order} in another, too")
        orders |= {trial.tell_order} - {None}
        if trial.retry_of is not None and trial.retry_of not in numbers - {trial.number}:
            raise trial_error(
                trial.number, f"field retry_of is {trial.retry_of}, which is no trial"
            )
    indices = {trial.proposal_index for trial in trials}
    if missing := set(range(len(indices))) - indices:
        raise SearchError(f"no trial has {min(missing)} in its field asked, and some have more")


def trial_error(number: int, reason: object) -> SearchError:
    """The error for a trial that cannot be so, with the reason."""
    return SearchError(f"trial {number}: {reason}")


def written_fields(trial: Trial, names: tuple[str, ...]) -> dict[str, Any]:
    """Some fields of a trial by the names under which a study keeps them."""
    return {STORED_NAMES.get(name, name): getattr(trial, name) for name in names}


def _fields(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    keys = {name: STORED_NAMES.get(name, name) for name in names}
    return {name: values[key] for name, key in keys.items() if key in values}


def _check_end(frozen: "FrozenTrial", trial: Trial) -> None:
    state = frozen.state.name
    if trial.score is not None and not isfinite(trial.score):
        raise SearchError(f"field end.score is {trial.score}")
    if (trial.score is not None) != (trial.status == "finished"):
        raise SearchError(
            f"field end.score is {trial.score}, and field end.status {excerpt(trial.status)}"
        )
    # Optuna's state follows the end: a kill may have come between.
    if state not in ("RUNNING", trial.status != "running" and _STATES.get(trial.status, "FAIL")):
        raise SearchError(f"its state is {state}, and field end.status {excerpt(trial.status)}")
    if state == "COMPLETE" and frozen.values != [trial.score]:
        raise SearchError(f"its value is {frozen.values}, and field end.score {trial.score}")


_NAMES = frozenset(Attributes.__annotations__)
