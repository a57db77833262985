"""The log of a study's trials: Optuna's rows, written so that a kill at any time loses none.

A trial is one write when it begins: its choices as parameters, tokens and plan as attributes. At
its end, one attribute holds the whole result, and with it the trial has ended; the state that
Optuna itself reads follows, and is written later if a kill came between.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from dropsmith.errors import SearchError, excerpt
from dropsmith.files import keep_trying
from dropsmith.pattern_search.spaces.space import Space
from dropsmith.pattern_search.storage import (
    StorageLocation,
    fault_of,
    storage_error,
    storage_exceptions,
)
from dropsmith.pattern_search.stored_trials import (
    BEGIN_FIELDS,
    END_FIELDS,
    check_together,
    read_trial,
    trial_error,
    written_fields,
)
from dropsmith.pattern_search.trial import Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_T = TypeVar("_T")


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
            SearchError: the storage cannot be read, or a trial cannot be so; the message names
                study, trial and field.
        """
        rows = self._all_rows()
        try:
            pairs = self._read(rows)
        except SearchError as error:
            name = self._study.study_name.rpartition("@")[0]
            where = "" if self._location is None else f" in {self._location}"
            raise SearchError(
                f"cannot read the search {excerpt(name)}{where}\n  {error}\n"
                "  it was changed by hand: give this search another name or storage"
            ) from None
        for frozen, trial in pairs:
            self._rows[trial.number] = frozen._trial_id
            if trial.status != "running" and not frozen.state.is_finished():
                self._write(lambda row=frozen._trial_id, end=trial: self._set_state(row, end))
        return [trial for _, trial in pairs]

    def _read(self, rows: "list[FrozenTrial]") -> "list[tuple[FrozenTrial, Trial]]":
        pairs: list[tuple[FrozenTrial, Trial]] = []
        for row in rows:
            if "tokens" not in row.user_attrs:  # put by hand in a dashboard
                continue
            try:
                pairs.append((row, read_trial(row, self._space)))
            except SearchError as error:
                raise trial_error(row.number, error) from None
        check_together([trial for _, trial in pairs])
        return pairs

    def _all_rows(self) -> "list[FrozenTrial]":
        try:
            return self._storage.get_all_trials(self._study._study_id, deepcopy=False)
        except storage_exceptions() as error:
            if self._location is None:
                raise
            raise storage_error(self._location, error) from None
        except Exception as error:  # Optuna takes every row for right, and ends in any error
            if self._location is None:
                raise
            reason = f"a row is invalid: {type(error).__name__}: {error}"
            raise storage_error(self._location, SearchError(reason)) from None

    def _create(self, trial: Trial) -> int:
        from optuna.trial import TrialState, create_trial

        about = written_fields(trial, BEGIN_FIELDS)
        row = create_trial(
            state=TrialState.RUNNING,
            params=dict(trial.choices),
            distributions=self._distributions,
            user_attrs=about | {"tokens": list(trial.tokens), "plan": trial.plan.to_json()},
        )
        return self._storage.create_new_trial(self._study._study_id, row)

    def _find_row(self, trial: Trial) -> int | None:
        """The row of a trial whose write failed after it was complete, or None."""
        for frozen in self._all_rows():
            attributes = frozen.user_attrs
            begin = written_fields(trial, ("proposal_index", "retry"))
            same = all(attributes.get(name) == value for name, value in begin.items())
            if same and "end" not in attributes and frozen.number not in self._rows:
                return frozen._trial_id
        return None

    def _prune(self, row: int) -> bool:
        return self._study.pruner.prune(self._study, self._storage.get_trial(row))

    def _set_end(self, row: int, trial: Trial) -> None:
        values = written_fields(trial, END_FIELDS)
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

        try:
            return keep_trying(
                attempt,
                self._location,
                temporary=_is_temporary,
                reason=fault_of,
                print_line=self._print_line,
            )
        except storage_exceptions() as error:
            if self._location is None or isinstance(error, OSError):
                raise
            raise storage_error(self._location, error) from None


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
