import signal
import sys
import threading
import weakref

import pytest

from dropsmith.cli._progress import runs_bar
from dropsmith.cli._signals import EndSignal, signals_handled
from dropsmith.cli._trials_bar import trials_bar
from dropsmith.pattern_search import Progress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class _Referent:
    """Anything that a weak reference may point to."""


def lose_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt this process inside a callback whose errors Python ignores."""
    monkeypatch.setattr(sys, "unraisablehook", lambda error: None)
    referent = _Referent()
    reference = weakref.ref(referent, lambda _: signal.raise_signal(signal.SIGINT))
    del referent
    assert reference() is None


def test_an_interrupt_is_raised_where_it_arrives():
    steps = []

    def run() -> None:
        with signals_handled():
            signal.raise_signal(signal.SIGINT)
            steps.append("after")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not steps


def test_a_lost_interrupt_is_raised_at_the_next_check(monkeypatch):
    steps = []

    def run() -> None:
        with signals_handled() as check:
            check()
            lose_interrupt(monkeypatch)
            steps.append("before the check")
            check()
            steps.append("after the check")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["before the check"]


def test_a_lost_interrupt_is_raised_at_the_end_of_the_block(monkeypatch):
    with pytest.raises(KeyboardInterrupt), signals_handled():
        lose_interrupt(monkeypatch)


def test_a_bar_over_runs_stops_at_the_run_after_a_lost_interrupt(monkeypatch):
    steps = []

    def run() -> None:
        with runs_bar("digits", 3) as watch:
            watch(1.0, 3, None)
            lose_interrupt(monkeypatch)
            steps.append("second run")
            watch(2.0, 3, None)
            steps.append("third run")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["second run"]


def test_a_bar_over_trials_stops_at_the_trial_after_a_lost_interrupt(monkeypatch):
    steps = []

    def progress(done: int) -> Progress:
        return Progress(
            done=done, total=3, running=1, best=None, last_trial=None, seconds_left=None
        )

    def run() -> None:
        with trials_bar("digits", 3, "validation NLL") as watch:
            watch(progress(1))
            lose_interrupt(monkeypatch)
            steps.append("second trial")
            watch(progress(2))
            steps.append("third trial")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["second trial"]


def test_the_handler_is_what_it_was_after_the_block():
    before = signal.getsignal(signal.SIGINT)
    with signals_handled():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_signal_to_end_is_an_interrupt_with_its_number(name):
    number = getattr(signal, name)
    with pytest.raises(EndSignal) as ended, signals_handled():
        signal.raise_signal(number)
    assert ended.value.number == number


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_handled() as check:
            signal.raise_signal(signal.SIGHUP)
            check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_blocks_may_stand_in_each_other(monkeypatch):
    def run() -> None:
        with signals_handled():
            with signals_handled() as check:
                check()
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
            lose_interrupt(monkeypatch)
            with signals_handled() as check:
                check()

    with pytest.raises(EndSignal):
        run()
    with signals_handled() as check:
        check()


def test_a_handler_of_somebody_else_stays():
    calls = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        with signals_handled():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [signal.SIGINT]


def test_outside_the_main_thread_nothing_changes():
    handlers = []

    def run() -> None:
        with signals_handled() as check:
            check()
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
