"""What every executor promises; inherit the class and say how yours is made."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar

from dropsmith.pattern_search import (
    Ended,
    Executor,
    Failed,
    Finished,
    Job,
    Reported,
    Score,
    Stopped,
    TrialContext,
)
from dropsmith.sites import Plan

_LONG = 600.0
_PATIENCE = 120.0
"""Seconds that a new process may need to import what it runs."""

_DEEDS = ("score", "report", "raise", "nan", "none", "be killed", "hang", "be told", "exit")


def do(plan: Plan, trial: TrialContext) -> float:
    """A scoring function whose trial's seed says what it does."""
    deed = _DEEDS[trial.seed]
    if deed == "report":
        for step in range(3):
            trial.report(step, step / 4)
    if deed == "raise":
        raise ValueError("this trial\ncannot be scored")
    if deed == "exit":
        sys.exit(3)
    if deed == "be killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        trial.report(0, os.getpid())
        time.sleep(_LONG)
    if deed == "be told":
        return 100.0 * trial.number + trial.retry
    return {"nan": float("nan"), "none": None}.get(deed, len(plan.rules))  # pyright: ignore


class ExecutorContract:
    """Tests of an executor: faults, reports, verdicts, deaths and silence.

    >>> from dropsmith.pattern_search import SerialExecutor
    >>> class TestMine(ExecutorContract):
    ...     apart = False
    ...
    ...     def make(self, score, timeout=None):
    ...         return SerialExecutor(score)

    Attributes:
        apart: whether a trial runs in a process of its own, which can be killed and ended.
    """

    apart: ClassVar[bool] = True
    _one: ClassVar[Executor | None] = None

    def make(self, score: Score, timeout: float | None = None) -> Executor:
        """An executor of yours with one slot or more, and with a time limit if it can have one."""
        raise NotImplementedError("say how your executor is made")

    @classmethod
    def teardown_class(cls) -> None:
        """Close the executor that most tests have used."""
        if cls._one is not None:
            cls._one.close()
            cls._one = None

    def test_a_score_comes_back_under_its_number(self) -> None:
        (ended,) = self._ended("score")
        assert isinstance(ended, Finished), f"a trial that returned a score came back as {ended!r}"
        assert ended.score == 0.0
        assert ended.seconds >= 0
        assert ended.worker, "it is not said which worker ran the trial"

    def test_a_trial_is_told_its_number_and_how_often_it_was_lost(self) -> None:
        executor = self._shared()
        executor.submit(Job(31, Plan(), _DEEDS.index("be told"), retry=2))
        (ended,) = _next(executor, 1)
        assert isinstance(ended, Finished)
        assert ended.score == 3102.0, f"number 31 and retry 2 arrived as {ended.score:g}"

    def test_more_trials_than_slots_all_come_to_an_end(self) -> None:
        executor = self._shared()
        count = 2 * executor.slots + 1
        ended = self._ended(*["be told"] * count)
        scores = sorted(one.score for one in ended if isinstance(one, Finished))
        assert scores == [100.0 * number for number in range(count)]

    def test_what_is_wrong_with_a_trial_is_an_event(self) -> None:
        for deed, why in (
            ("raise", "ValueError: this trial"),
            ("nan", "its score is nan"),
            ("none", "its score is no number but a NoneType"),
        ):
            (ended,) = self._ended(deed)
            assert isinstance(ended, Failed), f"{deed}: came back as {ended!r}"
            assert (ended.why, ended.lost) == (why, False), f"{deed}: {ended!r}"

    def test_a_trial_that_exits_fails_and_costs_nothing_else(self) -> None:
        gone, after = (self._ended(deed)[0] for deed in ("exit", "score"))
        assert isinstance(gone, Failed), f"a trial that called sys.exit came back as {gone!r}"
        assert isinstance(after, Finished), f"after one that exited, a trial came back as {after!r}"

    def test_a_report_waits_until_it_is_told_to_go_on(self) -> None:
        executor = self._shared()
        executor.submit(_job(0, "report"))
        for step in range(3):
            heard = executor.wait(_PATIENCE)
            assert heard == [Reported(0, step, step / 4)], f"report {step} came as {heard!r}"
            assert executor.wait(0.1) == [], "a trial went on before it was told to"
            executor.answer(0, go_on=True)
        (ended,) = _next(executor, 1)
        assert isinstance(ended, Finished)

    def test_a_trial_that_is_told_to_stop_does(self) -> None:
        executor = self._shared()
        executor.submit(_job(0, "report"))
        assert executor.wait(_PATIENCE) == [Reported(0, 0, 0.0)]
        executor.answer(0, go_on=False)
        (ended,) = _next(executor, 1)
        assert isinstance(ended, Stopped), f"a trial that was told to stop came back as {ended!r}"

    def test_a_trial_that_is_killed_costs_nothing_else(self) -> None:
        if not self.apart:
            return
        lost, after = (self._ended(deed)[0] for deed in ("be killed", "score"))
        assert isinstance(lost, Failed), f"a killed trial came back as {lost!r}"
        assert lost.lost, "a killed trial is not said to be lost, so nobody tries it again"
        assert isinstance(after, Finished), f"after a killed one, a trial came back as {after!r}"

    def test_a_trial_that_hangs_is_ended_when_its_time_is_over(self) -> None:
        if not self.apart:
            return
        with self.make(do, timeout=1.0) as executor:
            pid = _hang(executor, pause=1.5)
            (ended,) = _next(executor, 1)
            assert isinstance(ended, Failed), f"a trial that hung came back as {ended!r}"
            assert (ended.why, ended.lost) == ("it took longer than 1 s", False)
            _check_gone(pid)

    def test_what_a_trial_said_in_time_counts_however_late_it_is_heard(self) -> None:
        if not self.apart:
            return
        with self.make(do, timeout=2.0) as executor:
            executor.submit(_job(0, "report"))
            for step in range(3):
                heard = executor.wait(_PATIENCE)
                assert heard == [Reported(0, step, step / 4)], f"report {step} came as {heard!r}"
                executor.answer(0, go_on=True)
                if step != 1:  # a study may wait for its disk: once for a report, once for the end
                    time.sleep(2.2)
            (ended,) = _next(executor, 1)
            assert isinstance(ended, Finished), f"a trial that was in time came back as {ended!r}"

    def test_closing_ends_a_trial_that_runs(self) -> None:
        if not self.apart:
            return
        with self.make(do) as executor:
            pid = _hang(executor)
        _check_gone(pid)

    def _shared(self) -> Executor:
        if type(self)._one is None:
            type(self)._one = self.make(do)
        return type(self)._one  # pyright: ignore[reportReturnType]

    def _ended(self, *deeds: str) -> list[Ended]:
        """What became of a trial for each deed, in their order."""
        executor = self._shared()
        waiting = [_job(number, deed) for number, deed in enumerate(deeds)]
        ended: list[Ended] = []
        while len(ended) < len(deeds):
            while waiting and len(deeds) - len(waiting) - len(ended) < executor.slots:
                executor.submit(waiting.pop(0))
            ended += _next(executor, 1)
        return sorted(ended, key=lambda one: one.number)


def _job(number: int, deed: str) -> Job:
    return Job(number, Plan(), _DEEDS.index(deed))


def _next(executor: Executor, least: int) -> list[Ended]:
    """The next events, which must be ends of trials."""
    found: list[Ended] = []
    while len(found) < least:
        heard = executor.wait(_PATIENCE)
        assert heard, f"nothing has happened for {_PATIENCE:g} s"
        for event in heard:
            assert not isinstance(event, Reported), f"a report that nobody waits for: {event!r}"
            found.append(event)
    return found


def _hang(executor: Executor, pause: float = 0.0) -> int:
    """Begin a trial that hangs; the number of its process."""
    executor.submit(_job(0, "hang"))
    (report,) = executor.wait(_PATIENCE)
    assert isinstance(report, Reported), f"instead of a report: {report!r}"
    heard = executor.wait(pause) if pause else []
    assert not heard, f"a trial that waits for its answer came back as {heard!r}"
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
    raise AssertionError(f"the trial's process {pid} is still there")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
