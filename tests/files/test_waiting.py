"""A write waits for room, and for nothing else."""

import errno
import sys

import pytest

from dropsmith.files import keep_trying, waiting


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(waiting, "sleep", seconds.append)
    return seconds


def failing(times: int, error: Exception):
    left = [times]

    def write() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "written"

    return write


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_waited_for_ever_longer_and_said(waits, capsys):
    assert keep_trying(failing(9, FULL), "runs/a.json") == "written"
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "cannot write to runs/a.json: No space left on device; again in 1 s"


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), ValueError("no"), OSError("no number")]
)
def test_what_will_not_pass_is_raised_at_once(waits, error):
    with pytest.raises(type(error)):
        keep_trying(failing(1, error), "runs")
    assert waits == []


def test_an_interrupt_ends_the_waiting(monkeypatch):
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        keep_trying(failing(1, FULL), "runs")


class Full:
    """A stream on a full disk."""

    def write(self, text: str) -> int:
        raise FULL


def test_a_line_that_cannot_be_printed_stops_nothing(waits, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Full())
    assert keep_trying(failing(1, FULL), "runs") == "written"
