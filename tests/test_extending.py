"""The page on extensions: its files are written, and its commands are run."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from compare.workers import spread_here
from dropsmith.cli import main
from dropsmith.compare import runs

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.S)
FILES = {
    re.match(r"# (\w+)\.py\n", text)[1]: text  # pyright: ignore[reportOptionalSubscript]
    for kind, text in BLOCKS
    if kind == "python"
}
COMMANDS = [
    line.removeprefix("$ ")
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files of the page."""
    folder = tmp_path_factory.mktemp("extending")
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    (plan,) = (text for kind, text in BLOCKS if kind == "json")
    (folder / "stripes.json").write_text(json.dumps(json.loads(plan)))
    return folder


def test_the_page_builds_each_of_the_five():
    assert list(FILES) == ["cosine", "gentle", "stripes", "wine", "greedy"]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_does_what_it_says(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(runs, "spread", spread_here)
    for name in FILES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    program, *words = shlex.split(command)
    assert program == "dropsmith"
    with pytest.raises(SystemExit) as ended:
        main(words)
    printed = capsys.readouterr()
    assert not ended.value.code, printed.err
    assert printed.out
    for name in FILES:
        sys.modules.pop(name, None)
