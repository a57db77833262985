"""A file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from dropsmith.files import whole_file, write_text


def test_a_text_is_there_byte_for_byte_and_nothing_else(tmp_path: Path):
    write_text(tmp_path / "a.txt", "é\r\nb\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == "é\r\nb\n".encode()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_halfway():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail_halfway()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_write_that_makes_no_file_fails(tmp_path: Path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.txt"):
        pass


def test_two_writers_at_once_have_two_temporary_files(tmp_path: Path):
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "1")]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path):
    (tmp_path / "other").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "other")
    write_text(tmp_path / "a", "new")
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "other").read_text() == "mine"


def test_the_bytes_are_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        events.append("fsync")
        fsync(handle)

    def watched_replace(path: Path, target: Path) -> Path:
        events.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_text(tmp_path / "a", "new")
    assert events == (["fsync", "replace", "fsync"] if os.name == "posix" else ["fsync", "replace"])
