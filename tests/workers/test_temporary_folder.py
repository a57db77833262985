"""What workers leave in the folder for temporary files goes with their process, or soon after."""

import os
import subprocess
import sys
import tempfile
from multiprocessing import current_process, util

import pytest

from dropsmith.workers import temporary_folder
from dropsmith.workers.temporary_folder import folder_of_process


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(current_process()._config, "tempdir", None)
    return tmp_path


def test_the_folder_for_sockets_lies_in_one_that_is_named_after_the_process(place):
    with folder_of_process():
        folder = util.get_temp_dir()
    assert tempfile.gettempdir() == str(place)
    (outer,) = place.iterdir()
    assert outer.name.split("-")[2] == str(os.getpid())
    assert os.path.dirname(folder) == str(outer)


def test_a_folder_that_is_there_already_is_used(place, monkeypatch):
    monkeypatch.setitem(current_process()._config, "tempdir", "/somewhere")
    with folder_of_process():
        assert util.get_temp_dir() == "/somewhere"
    assert list(place.iterdir()) == []


def test_the_folders_of_processes_that_are_gone_are_removed_and_no_others(place):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    machine = temporary_folder._machine()
    left = place / f"dropsmith-{machine}-{ended.pid}-abc_1"
    kept = [
        place / f"dropsmith-{machine}-{os.getpid()}-abc_1",
        place / f"dropsmith-00000000-{ended.pid}-abc_1",  # of another machine
        place / f"dropsmith-{machine}-{ended.pid}",
        place / "pymp-abc",
    ]
    for folder in (left, *kept):
        (folder / "pymp-1").mkdir(parents=True)
    link = place / f"dropsmith-{machine}-{ended.pid}-abc_2"
    link.symlink_to(place / "pymp-abc")
    with folder_of_process():
        pass
    assert not left.exists()
    assert all((folder / "pymp-1").exists() for folder in kept)
    assert link.is_symlink()
