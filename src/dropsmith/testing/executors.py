"""The contract of every executor; inherit the class and define `make`."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar

from dropsmith.pattern_search import (
    Executor,
    Job,
    Score,
    ScoreReport,
    TrialContext,
    TrialEnd,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from dropsmith.plans import Plan

_LONG = 600.0
_PATIENCE = 120.0
"""Seconds for the imports of a new process."""

_ACTIONS = ("score", "report", "raise", "nan", "none", "be killed", "hang", "be told", "exit")


def do(plan: Plan, trial: TrialContext) -> float:
    """A score function whose action depends on the trial's seed."""
    action = _ACTIONS[trial.seed]
    if action == "report":
        for step in range(3):
            trial.report(step, step / 4)
    if action == "raise":
        raise ValueError("this trial\ncannot be scored")
    if action == "exit":
        sys.exit(3)
    if action == "be killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "hang":
        trial.report(0, os.getpid())
        time.sleep(_LONG)
    if action == "be told":
        return 100.0 * trial.number + trial.retry
    return {"nan": float("nan"), "none": None}.get(action, len(plan.rules))  # pyright: ignore


class ExecutorContract:
    """Tests of an executor: errors, reports, stops, killed processes and time limits.

    >>> from dropsmith.pattern_search import SerialExecutor
    >>> class TestMine(ExecutorContract):
    ...     own_process = False
    ...
    ...     def make(self, score, timeout=None):
    ...         return SerialExecutor(score)

    Attributes:
        own_process: whether a trial runs in its own process, which can be killed.
    """

    own_process: ClassVar[bool] = True
    _executor: ClassVar[Executor | None] = None

    def make(self, score: Score, timeout: float | None = None) -> Executor:
        """Return your executor with a slot or more, and with the time limit if it supports one."""
        raise NotImplementedError("define make(), which returns your executor")

    @classmethod
    def teardown_class(cls) -> None:
        """Close the executor that most tests share."""
        if cls._executor is not None:
            cls._executor.close()
            cls._executor = None

    def test_a_score_comes_back_under_its_number(self) -> None:
        (event,) = self._run_trials("score")
        assert isinstance(event, TrialFinished), f"a trial that returned a score ended as {event!r}"
        assert event.score == 0.0
        assert event.seconds >= 0
        assert event.worker, "the event does not name the worker of the trial"

    def test_a_trial_is_told_its_number_and_how_often_it_was_lost(self) -> None:
        executor = self._shared_executor()
        executor.submit(Job(31, Plan(), _ACTIONS.index("be told"), retry=2))
        (event,) = _next(executor, 1)
        assert isinstance(event, TrialFinished)
        assert event.score == 3102.0, f"number 31 and retry 2 arrived as {event.score:g}"

    def test_more_trials_than_slots_all_come_to_an_end(self) -> None:
        executor = self._shared_executor()
        count = 2 * executor.slots + 1
        events = self._run_trials(*["be told"] * count)
        scores = sorted(event.score for event in events if isinstance(event, TrialFinished))
        assert scores == [100.0 * number for number in range(count)]

    def test_what_is_wrong_with_a_trial_is_an_event(self) -> None:
        for action, reason in (
            ("raise", "ValueError: this trial"),
            ("nan", "its score is nan"),
            ("none", "its score is no number but a NoneType"),
        ):
            (event,) = self._run_trials(action)
            assert isinstance(event, TrialFailed), f"{action}: ended as {event!r}"
            assert (event.why, event.retriable) == (reason, False), f"{action}: {event!r}"

    def test_a_trial_that_exits_fails_and_costs_nothing_else(self) -> None:
        exit_event, next_event = (self._run_trials(action)[0] for action in ("exit", "score"))
        assert isinstance(exit_event, TrialFailed), (
            f"a trial that called sys.exit ended as {exit_event!r}"
        )
        assert isinstance(next_event, TrialFinished), (
            f"after a trial that exited, the next one ended as {next_event!r}"
        )

    def test_a_report_waits_until_it_is_told_to_go_on(self) -> None:
        executor = self._shared_executor()
        executor.submit(_job(0, "report"))
        for step in range(3):
            reports = executor.wait(_PATIENCE)
            assert reports == [ScoreReport(0, step, step / 4)], f"report {step} came as {reports!r}"
            assert executor.wait(0.1) == [], "a trial continued before it was told to"
            executor.answer(0, go_on=True)
        (event,) = _next(executor, 1)
        assert isinstance(event, TrialFinished)

    def test_a_trial_that_is_told_to_stop_does(self) -> None:
        executor = self._shared_executor()
        executor.submit(_job(0, "report"))
        assert executor.wait(_PATIENCE) == [ScoreReport(0, 0, 0.0)]
        executor.answer(0, go_on=False)
        (event,) = _next(executor, 1)
        assert isinstance(event, TrialStopped), f"a trial that was told to stop ended as {event!r}"

    def test_a_trial_that_is_killed_costs_nothing_else(self) -> None:
        if not self.own_process:
            return
        killed_event, next_event = (
            self._run_trials(action)[0] for action in ("be killed", "score")
        )
        assert isinstance(killed_event, TrialFailed), f"a killed trial ended as {killed_event!r}"
        assert killed_event.retriable, "a killed trial is not retriable, so it is not tried again"
        assert isinstance(next_event, TrialFinished), (
            f"after a killed trial, the next one ended as {next_event!r}"
        )

    def test_a_trial_that_hangs_is_ended_when_its_time_is_over(self) -> None:
        if not self.own_process:
            return
        with self.make(do, timeout=1.0) as executor:
            pid = _hang(executor, pause=1.5)
            (event,) = _next(executor, 1)
            assert isinstance(event, TrialFailed), f"a trial that hung ended as {event!r}"
            assert (event.why, event.retriable) == ("it took longer than 1 s", False)
            _check_gone(pid)

    def test_what_a_trial_said_in_time_counts_however_late_it_is_heard(self) -> None:
        if not self.own_process:
            return
        with self.make(do, timeout=2.0) as executor:
            executor.submit(_job(0, "report"))
            for step in range(3):
                reports = executor.wait(_PATIENCE)
                assert reports == [ScoreReport(0, step, step / 4)], (
                    f"report {step} came as {reports!r}"
                )
                executor.answer(0, go_on=True)
                if step != 1:  # a study may wait for its disk, at a report and the end
                    time.sleep(2.2)
            (event,) = _next(executor, 1)
            assert isinstance(event, TrialFinished), (
                f"a trial within its time limit ended as {event!r}"
            )

    def test_closing_ends_a_trial_that_runs(self) -> None:
        if not self.own_process:
            return
        with self.make(do) as executor:
            pid = _hang(executor)
        _check_gone(pid)

    def _shared_executor(self) -> Executor:
        if type(self)._executor is None:
            type(self)._executor = self.make(do)
        return type(self)._executor  # pyright: ignore[reportReturnType]

    def _run_trials(self, *actions: str) -> list[TrialEnd]:
        """The event that ended a trial for each action, in their order."""
        executor = self._shared_executor()
        waiting = [_job(number, action) for number, action in enumerate(actions)]
        events: list[TrialEnd] = []
        while len(events) < len(actions):
            while waiting and len(actions) - len(waiting) - len(events) < executor.slots:
                executor.submit(waiting.pop(0))
            events += _next(executor, 1)
        return sorted(events, key=lambda event: event.number)


def _job(number: int, action: str) -> Job:
    return Job(number, Plan(), _ACTIONS.index(action))


def _next(executor: Executor, least: int) -> list[TrialEnd]:
    """The next events, all of which must be ends of trials."""
    ends: list[TrialEnd] = []
    while len(ends) < least:
        events = executor.wait(_PATIENCE)
        assert events, f"no event has arrived for {_PATIENCE:g} s"
        for event in events:
            assert not isinstance(event, ScoreReport), f"an unexpected report: {event!r}"
            ends.append(event)
    return ends


def _hang(executor: Executor, pause: float = 0.0) -> int:
    """Start a trial that hangs, and return the number of its process."""
    executor.submit(_job(0, "hang"))
    (report,) = executor.wait(_PATIENCE)
    assert isinstance(report, ScoreReport), f"not a report: {report!r}"
    events = executor.wait(pause) if pause else []
    assert not events, f"a trial that waits for its answer ended as {events!r}"
    executor.answer(0, go_on=True)
    return int(report.value)


def _check_gone(pid: int) -> None:
    until = time.monotonic() + _PATIENCE / 4
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if _is_zombie(pid):
            return
        time.sleep(0.05)
    raise AssertionError(f"the trial's process {pid} still runs")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
