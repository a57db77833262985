"""A folder is in one hand at a time, and what a killed process left half-written goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dropsmith.errors import BusyError
from dropsmith.files import hold_folder, remove_leftovers, whole_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

HOLDER = """
import sys, time
from pathlib import Path
from dropsmith.files import hold_folder, whole_file
with hold_folder(Path(sys.argv[1])), whole_file(Path(sys.argv[1]) / "a") as partial:
    partial.write_text("half")
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds a folder and is in the middle of a write."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob("*.partial"))


@pytest.mark.slow
def test_another_process_is_refused_until_this_one_is_killed_and_then_nothing_is_left(
    holder, tmp_path
):
    with pytest.raises(BusyError, match="another process is making runs in") as busy:
        hold_folder(tmp_path, "wait for it").__enter__()
    assert str(busy.value).endswith("\n  wait for it")
    remove_leftovers(tmp_path)
    assert len(partials(tmp_path)) == 1, "a living process may still be writing it"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with hold_folder(tmp_path):
        assert partials(tmp_path) == []


def test_a_folder_is_free_again_after_an_error_in_it(tmp_path: Path):
    def fail():
        with hold_folder(tmp_path):
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()


def test_a_folder_is_made_and_one_that_cannot_be_is_an_error_of_the_system(tmp_path: Path):
    with hold_folder(tmp_path / "new" / "folder"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        hold_folder(tmp_path / "file").__enter__()


def test_what_a_process_of_the_same_number_left_before_this_one_began_goes(tmp_path: Path):
    (tmp_path / "run").mkdir()
    old = [tmp_path / n / f".{'0' * 16}.{os.getpid()}.partial" for n in (".", "run")]
    for path in old:
        path.touch()
        os.utime(path, (1, 1))
    with whole_file(tmp_path / "a") as partial:
        partial.touch()
        remove_leftovers(tmp_path)
        assert partials(tmp_path) == [partial]


@pytest.mark.parametrize("name", [".mine.partial", "a.partial", ".0.1.partial", "a.12.partial"])
def test_files_of_others_stay(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert (tmp_path / name).exists()
