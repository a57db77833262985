"""What was read from files is kept as long as they stay as they are."""

import os

import pytest

from dropsmith.tasks.data.file_cache import cached_by_files


@pytest.fixture
def reads():
    return []


@pytest.fixture
def read(reads):
    @cached_by_files(4)
    def read(path, limit=None):
        reads.append((path, limit))
        return object()

    return read


def test_a_file_that_stays_as_it_is_is_read_once(tmp_path, read, reads):
    path = tmp_path / "a.csv"
    path.write_text("one")
    assert read(path) is read(path)
    assert read(path, limit=3) is read(path, limit=3)
    assert reads == [(path, None), (path, 3)]
    read.cache_clear()
    read(path)
    assert len(reads) == 3


def rewritten(path):
    path.write_text("longer than before")


def touched(path):
    os.utime(path, ns=(1, 1))


def replaced(path):
    before = path.stat()
    other = path.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def removed(path):
    path.unlink()


@pytest.mark.parametrize("change", [rewritten, touched, replaced, removed])
@pytest.mark.parametrize("by", ["file", "folder", "link", "text"])
def test_a_file_that_changes_is_read_anew(tmp_path, read, reads, change, by):
    folder = tmp_path / "data" / "inner"
    folder.mkdir(parents=True)
    path = folder / "a.csv"
    path.write_text("one")
    link = tmp_path / "link"
    link.symlink_to(folder)
    place = {"file": path, "folder": folder.parent, "link": link, "text": str(folder)}[by]
    read(place)
    read(place)
    change(path)
    read(place)
    assert len(reads) == 2


def test_a_file_that_is_added_to_a_folder_is_read(tmp_path, read, reads):
    read(tmp_path)
    (tmp_path / "a.csv").write_text("one")
    read(tmp_path)
    assert len(reads) == 2


def test_a_name_that_is_no_path_and_a_file_that_is_not_there_are_no_errors(tmp_path, read, reads):
    for place in ("bert-base", tmp_path / "none", None):
        assert read(place) is read(place)
    assert len(reads) == 3


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path, read):
    (tmp_path / "again").symlink_to(tmp_path)
    assert read(tmp_path) is read(tmp_path)
