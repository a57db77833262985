"""The command, run as a person would, in an empty folder."""

import pytest

from dropsmith.cli import main


@pytest.fixture(autouse=True)
def _words_alone(undrawn_pictures):
    """A command's pages are tested for what they say; tests of the report draw their pictures."""


@pytest.fixture
def columns():
    """How wide the terminal is."""
    return 100


@pytest.fixture
def run(capsys, monkeypatch, tmp_path, columns):
    """Runs the command in an empty folder and returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))

    def call(line):
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        caught = capsys.readouterr()
        return ended.value.code or 0, caught.out, caught.err

    return call
