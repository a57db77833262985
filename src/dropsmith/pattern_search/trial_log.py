"""The log of a study's trials: Optuna's rows, written so that a kill at any time loses none.

A trial is one write when it begins: its choices as parameters, tokens and plan as attributes. At
its end, one attribute holds the whole result, and with it the trial has ended; the state that
Optuna itself reads follows, and is written later if a kill came between.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from dropsmith.files import keep_trying
from dropsmith.pattern_search.spaces.space import Space
from dropsmith.pattern_search.storage import (
    StorageLocation,
    fault_of,
    storage_error,
    storage_exceptions,
)
from dropsmith.pattern_search.trial import STORED_NAMES, Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_T = TypeVar("_T")
_BEGIN_FIELDS = ("proposal_index", "version", "log_probability", "seed", "retry", "retry_of")
_END_FIELDS = ("status", "score", "why", "seconds", "worker", "tell_order")


class TrialLog:
    """The rows of one study.

    Args:
        study: of Optuna, with its pruner.
        space: that the trials are from.
        location: of its storage; None for a study in memory.
        print_line: is called with a line on each write that failed and will be tried again.
    """

    def __init__(
        self,
        study: "Study",
        space: Space,
        location: StorageLocation | None,
        print_line: Callable[[str], None],
    ) -> None:
        self._study, self._space = study, space
        self._location, self._print_line = location, print_line
        self._storage: Any = study._storage  # cached, as Optuna's pruners use it
        self._rows: dict[int, int] = {}
        self._distributions = _distributions(space)

    def begin(self, trial: Trial) -> Trial:
        """Write a trial that is about to run; it comes back with its number."""
        row = self._write(lambda: self._create(trial), lambda: self._find_row(trial))
        number = self._write(lambda: self._storage.get_trial_number_from_id(row))
        self._rows[number] = row
        return replace(trial, number=number)

    def report(self, number: int, step: int, value: float) -> bool:
        """Write a score in between, and ask the pruner whether the trial is to go on."""
        row = self._rows[number]
        self._write(lambda: self._storage.set_trial_intermediate_value(row, step, value))
        return not self._write(lambda: self._prune(row))

    def end(self, trial: Trial) -> None:
        """Write how a trial ended."""
        row = self._rows.pop(trial.number)
        self._write(lambda: self._set_end(row, trial))
        self._write(lambda: self._set_state(row, trial))
        if self._location is not None:
            self._write(self._location.sync)

    def end_once(self, trial: Trial) -> None:
        """Write how a trial ended if that can be done now; otherwise it stays running."""
        with suppress(*storage_exceptions()):
            row = self._rows.pop(trial.number)
            self._set_end(row, trial)
            self._set_state(row, trial)

    def read(self) -> list[Trial]:
        """Every trial, in order. Those of status `running` were cut short with an earlier run.

        Raises:
            SearchError: the storage cannot be read.
        """
        try:
            rows = self._storage.get_all_trials(self._study._study_id, deepcopy=False)
        except storage_exceptions() as error:
            if self._location is None:
                raise
            raise storage_error(self._location, error) from None
        # Others may be there, put by hand in a dashboard.
        pairs = [(row, self._read(row)) for row in rows if "tokens" in row.user_attrs]
        for frozen, trial in pairs:
            self._rows[trial.number] = frozen._trial_id
            if trial.status != "running" and not frozen.state.is_finished():
                self._write(lambda row=frozen._trial_id, end=trial: self._set_state(row, end))
        return [trial for _, trial in pairs]

    def _read(self, frozen: "FrozenTrial") -> Trial:
        attributes = frozen.user_attrs
        tokens = tuple(attributes["tokens"])
        return Trial(
            number=frozen.number,
            tokens=tokens,
            choices=self._space.describe(tokens),
            plan=self._space.plan(tokens),
            reports=tuple(sorted(frozen.intermediate_values.items())),
            **_fields(attributes, _BEGIN_FIELDS),
            **_fields(attributes.get("end", {}), _END_FIELDS),
        )

    def _create(self, trial: Trial) -> int:
        from optuna.trial import TrialState, create_trial

        about = _written_fields(trial, _BEGIN_FIELDS)
        row = create_trial(
            state=TrialState.RUNNING,
            params=dict(trial.choices),
            distributions=self._distributions,
            user_attrs=about | {"tokens": list(trial.tokens), "plan": trial.plan.to_json()},
        )
        return self._storage.create_new_trial(self._study._study_id, row)

    def _find_row(self, trial: Trial) -> int | None:
        """The row of a trial whose write failed after it was complete, or None."""
        for frozen in self._storage.get_all_trials(self._study._study_id, deepcopy=False):
            attributes = frozen.user_attrs
            begin = _written_fields(trial, ("proposal_index", "retry"))
            same = all(attributes.get(name) == value for name, value in begin.items())
            if same and "end" not in attributes and frozen.number not in self._rows:
                return frozen._trial_id
        return None

    def _prune(self, row: int) -> bool:
        return self._study.pruner.prune(self._study, self._storage.get_trial(row))

    def _set_end(self, row: int, trial: Trial) -> None:
        values = _written_fields(trial, _END_FIELDS)
        self._storage.set_trial_user_attr(row, "end", values)

    def _set_state(self, row: int, trial: Trial) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        state, values = _optuna_state(trial)
        with suppress(UpdateFinishedTrialError):  # where an earlier try came through after all
            self._storage.set_trial_state_values(row, state, values)

    def _write(self, write: Callable[[], _T], find: Callable[[], _T | None] | None = None) -> _T:
        """Write, however long it takes; `find` finds the row of an earlier, complete try."""
        retrying = False

        def attempt() -> _T:
            nonlocal retrying
            first, retrying = not retrying, True
            if not first and self._location is not None:
                self._location.repair()
            row = find() if find is not None and not first else None
            return write() if row is None else row

        return keep_trying(
            attempt,
            self._location,
            temporary=_is_temporary,
            reason=fault_of,
            print_line=self._print_line,
        )


def _written_fields(trial: Trial, names: tuple[str, ...]) -> dict[str, Any]:
    return {STORED_NAMES.get(name, name): getattr(trial, name) for name in names}


def _fields(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    keys = {name: STORED_NAMES.get(name, name) for name in names}
    return {name: values[key] for name, key in keys.items() if key in values}


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution

    return {choice.name: CategoricalDistribution(choice.values) for choice in space.choices}


def _optuna_state(trial: Trial) -> tuple[Any, list[float] | None]:
    from optuna.trial import TrialState

    if trial.status == "finished":
        return TrialState.COMPLETE, [trial.score]  # pyright: ignore[reportReturnType]
    if trial.status == "stopped":
        last = [value for _, value in trial.reports[-1:] if value == value]
        return TrialState.PRUNED, last or None
    return TrialState.FAIL, None


def _is_temporary(error: BaseException) -> bool:
    """True if the fault lies in the disk or the server, and not in the row."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    cause = error.__cause__ or error
    if not isinstance(error, storage_exceptions()):
        return False
    return isinstance(cause, OSError | OperationalError | InterfaceError)
