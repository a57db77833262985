"""The short forms of the harnesses: `python -m faults` is the long one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.command_lines import type_lines
from faults.mutated_inputs import break_inputs
from faults.tally import Tally, outcome_of
from faults.threaded_calls import call_from_threads

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


@pytest.mark.filterwarnings("ignore")
def test_broken_inputs_are_read_or_refused_in_words(tmp_path: Path):
    tally = break_inputs(100, tmp_path / "inputs")
    assert tally.faults == []
    assert tally.outcomes["refused"] > tally.cases / 4


@pytest.mark.filterwarnings("ignore")
def test_command_lines_end_in_a_sentence_and_an_exit_code(tmp_path: Path):
    tally = type_lines(40, tmp_path / "lines")
    assert tally.faults == []
    assert tally.outcomes["refused"] > tally.cases / 2


def test_calls_from_threads_return_what_they_return_alone():
    assert call_from_threads(200).faults == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked")
def test_killed_commands_end_as_if_nobody_had_killed_them(tmp_path: Path):
    command = "-m faults --inputs 0 --lines 0 --calls 0 --kills 3 --commands train --out"
    done = subprocess.run(
        [sys.executable, *command.split(), tmp_path],
        cwd=TESTS,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    part = json.loads(next(tmp_path.glob("*.json")).read_text())["parts"]["kills"]
    assert (part["kills"], part["faults"]) == (3, [])


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyError("x"), "traceback: KeyError"),
        (OSError("disk"), "traceback: OSError"),
        (RecursionError(), "traceback: RecursionError"),
    ],
)
def test_an_error_of_another_class_is_a_fault(error: Exception, outcome: str):
    def fail() -> None:
        raise error

    tally = Tally()
    tally.add("a case", fail)
    assert outcome_of(fail).startswith(outcome)
    assert len(tally.faults) == 1
