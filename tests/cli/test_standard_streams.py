"""What is printed fails in a sentence, and what was made before is kept."""

import errno
import io
import json
import os
import subprocess
import sys

import pytest

from cli.names import NAMES, UNPRINTABLE
from compare.workers import pretend
from dropsmith.cli import main
from dropsmith.cli._standard_streams import standard_streams
from dropsmith.compare import runs
from dropsmith.workers import Done

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it has /dev/full")


class Broken(io.StringIO):
    """A stream that takes some writes, then fails with every one."""

    def __init__(self, number: int, writes: int = 0) -> None:
        super().__init__()
        self.number, self.left = number, writes

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


class Late(io.StringIO):
    """A stream that keeps what is written to it, and fails as it is to let it out."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def call(line: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert isinstance(ended.value.code, int)
    return ended.value.code


LINES = ["--help", "--version", "recipes", "recipes --json", "compare --help"]


@pytest.mark.parametrize("writes", [0, 1])
@pytest.mark.parametrize("line", LINES)
def test_a_full_output_is_one_sentence(line, writes, monkeypatch, capsys):
    if writes and line == "--version":
        pytest.skip("it is one write")
    monkeypatch.setattr(sys, "stdout", Broken(errno.ENOSPC, writes))
    assert call(line) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: standard output cannot be written to: No space left on device"
    assert second.startswith("  ")


@pytest.mark.parametrize("line", LINES)
def test_an_output_that_fails_at_its_end_is_the_same(line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Late())
    assert call(line) == 1
    assert capsys.readouterr().err.startswith("error: standard output cannot be written to: No sp")


@pytest.mark.parametrize("line", LINES)
def test_a_reader_who_is_gone_is_no_error_to_speak_of(line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(errno.EPIPE))
    assert call(line) == 141
    assert capsys.readouterr().err == ""


def test_a_closed_output_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert call("recipes") == 1
    assert "error: standard output cannot be written to: it is closed" in capsys.readouterr().err
    assert sys.stdout is None


@pytest.mark.parametrize("stream", [Broken(errno.ENOSPC), Broken(errno.EIO), None])
def test_errors_that_cannot_be_printed_leave_the_exit_code(stream, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", stream)
    assert call("compare digitz") == 2
    assert call("--version") == 0
    assert capsys.readouterr().out.startswith("dropsmith ")
    assert sys.stderr is stream


def test_the_streams_are_what_they_were(capsys):
    before = sys.stdout, sys.stderr
    with standard_streams():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("name", [*NAMES, UNPRINTABLE])
def test_a_name_that_no_terminal_can_show_is_printed_all_the_same(name, monkeypatch):
    bytes_of = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_of, encoding="ascii"))
    with standard_streams() as output:
        print(name)
        assert output.finish() is None
    assert bytes_of.getvalue().decode("ascii") == f"{name}\n".encode(
        "ascii", "backslashreplace"
    ).decode("ascii")


@pytest.mark.slow
def test_of_a_real_process_with_closed_streams_no_file_has_their_numbers(tmp_path):
    code = (
        "import sys, os\n"
        "from dropsmith.cli._standard_streams import standard_streams\n"
        "with standard_streams():\n"
        f"    number = os.open({str(tmp_path / 'study')!r}, os.O_CREAT | os.O_RDWR)\n"
        "sys.exit(number)\n"
    )
    command = f"{sys.executable} -c '{code.replace(chr(39), chr(34))}' >&- 2>&-"
    assert subprocess.run(command, shell=True, stdin=subprocess.DEVNULL).returncode == 3


def test_a_run_is_kept_where_its_result_cannot_be_printed(tmp_path, monkeypatch, capsys):
    def spread(work, jobs, *_):
        for index, job in enumerate(jobs):
            yield Done(index, pretend(job, lambda share: None))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "spread", spread)
    line = "train digits --budget 1 --limit 20 --out runs"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Broken(errno.ENOSPC))
        assert call(f"{line} --json") == 1
    assert "error: standard output" in capsys.readouterr().err
    (path,) = (tmp_path / "runs").glob("*.json")
    written = path.stat().st_mtime_ns
    assert call(f"{line} --json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(path.read_text())
    assert path.stat().st_mtime_ns == written, "it was not made again"
