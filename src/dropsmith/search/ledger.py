"""A study as Optuna keeps it: a row for each trial, written so that a kill at any time loses none.

A trial is one write when it begins: its choices as parameters, tokens and plan as attributes. At
its end, one attribute says all there is to say, and with it the trial has ended; the state that
Optuna itself reads follows, and is made up for if it was not reached.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

from dropsmith.search.space import Space
from dropsmith.search.storage import Place, why, writing_errors
from dropsmith.search.trial import Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_T = TypeVar("_T")
_BEGUN = ("asked", "version", "log_probability", "seed", "retry", "retry_of")
_ENDED = ("status", "score", "why", "seconds", "worker", "told")
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
"""Seconds until a write that failed is tried again; each time twice as long."""


class Ledger:
    """The rows of one study.

    Args:
        study: of Optuna, with its pruner.
        space: that the trials are from.
        place: where it is stored; None where it is nowhere but in memory.
        say: is told, in a line, of a write that failed and will be tried again.
    """

    def __init__(
        self, study: "Study", space: Space, place: Place | None, say: Callable[[str], None]
    ) -> None:
        self._study, self._space, self._place, self._say = study, space, place, say
        self._storage: Any = study._storage  # cached, as Optuna's pruners use it
        self._rows: dict[int, int] = {}
        self._distributions = _distributions(space)

    def begin(self, trial: Trial) -> Trial:
        """Write a trial that is about to run; it comes back with its number."""
        row = self._keep(lambda: self._create(trial), lambda: self._created(trial))
        number = self._keep(lambda: self._storage.get_trial_number_from_id(row))
        self._rows[number] = row
        return replace(trial, number=number)

    def report(self, number: int, step: int, value: float) -> bool:
        """Write a score in between, and ask the pruner whether the trial is to go on."""
        row = self._rows[number]
        self._keep(lambda: self._storage.set_trial_intermediate_value(row, step, value))
        return not self._keep(lambda: self._prune(row))

    def end(self, trial: Trial) -> None:
        """Write how a trial ended."""
        row = self._rows.pop(trial.number)
        self._keep(lambda: self._set_end(row, trial))
        self._keep(lambda: self._set_state(row, trial))
        if self._place is not None:
            self._keep(self._place.settle)

    def end_once(self, trial: Trial) -> None:
        """Write how a trial ended if that can be done now; otherwise it will be found running."""
        with suppress(*writing_errors()):
            row = self._rows.pop(trial.number)
            self._set_end(row, trial)
            self._set_state(row, trial)

    def read(self) -> list[Trial]:
        """Every trial, in order. Those that say `running` were when an earlier run was ended."""
        found = self._storage.get_all_trials(self._study._study_id, deepcopy=False)
        # Others may be there, put by hand in a dashboard.
        pairs = [(one, self._read(one)) for one in found if "tokens" in one.user_attrs]
        for frozen, trial in pairs:
            self._rows[trial.number] = frozen._trial_id
            if trial.status != "running" and not frozen.state.is_finished():
                self._keep(lambda row=frozen._trial_id, own=trial: self._set_state(row, own))
        return [trial for _, trial in pairs]

    def _read(self, frozen: "FrozenTrial") -> Trial:
        own = frozen.user_attrs
        tokens = tuple(own["tokens"])
        return Trial(
            number=frozen.number,
            tokens=tokens,
            chosen=self._space.describe(tokens),
            plan=self._space.plan(tokens),
            reports=tuple(sorted(frozen.intermediate_values.items())),
            **{name: own[name] for name in _BEGUN},
            **own.get("end", {}),
        )

    def _create(self, trial: Trial) -> int:
        from optuna.trial import TrialState, create_trial

        about = {name: getattr(trial, name) for name in _BEGUN}
        row = create_trial(
            state=TrialState.RUNNING,
            params=dict(trial.chosen),
            distributions=self._distributions,
            user_attrs=about | {"tokens": list(trial.tokens), "plan": trial.plan.to_json()},
        )
        return self._storage.create_new_trial(self._study._study_id, row)

    def _created(self, trial: Trial) -> int | None:
        """The row of a trial whose writing failed after all was written."""
        for frozen in self._storage.get_all_trials(self._study._study_id, deepcopy=False):
            own = frozen.user_attrs
            same = own.get("asked") == trial.asked and own.get("retry") == trial.retry
            if same and "end" not in own and frozen.number not in self._rows:
                return frozen._trial_id
        return None

    def _prune(self, row: int) -> bool:
        return self._study.pruner.prune(self._study, self._storage.get_trial(row))

    def _set_end(self, row: int, trial: Trial) -> None:
        values = {name: getattr(trial, name) for name in _ENDED}
        self._storage.set_trial_user_attr(row, "end", values)

    def _set_state(self, row: int, trial: Trial) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        state, values = _as_optuna_says(trial)
        with suppress(UpdateFinishedTrialError):  # where an earlier try came through after all
            self._storage.set_trial_state_values(row, state, values)

    def _keep(self, write: Callable[[], _T], done: Callable[[], _T | None] | None = None) -> _T:
        """Write, however long it takes; `done` finds what an earlier try has written after all."""
        wait, again = _FIRST_WAIT, False
        while True:
            try:
                if again and self._place is not None:
                    self._place.mend()
                found = done() if again and done is not None else None
                return write() if found is None else found
            except writing_errors() as error:
                if not _passes(error):
                    raise
                self._say(f"cannot write to {self._place}: {why(error)}; again in {wait:g} s")
            sleep(wait)
            wait, again = min(2 * wait, _LONGEST_WAIT), True


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution

    return {choice.name: CategoricalDistribution(choice.values) for choice in space.choices}


def _as_optuna_says(trial: Trial) -> tuple[Any, list[float] | None]:
    from optuna.trial import TrialState

    if trial.status == "finished":
        return TrialState.COMPLETE, [trial.score]  # pyright: ignore[reportReturnType]
    if trial.status == "stopped":
        last = [value for _, value in trial.reports[-1:] if value == value]
        return TrialState.PRUNED, last or None
    return TrialState.FAIL, None


def _passes(error: BaseException) -> bool:
    """Whether the fault lies in the disk or the server, and not in what was written."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    cause = error.__cause__ or error
    return isinstance(cause, OSError | OperationalError | InterfaceError)
