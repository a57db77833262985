"""Where a study lives: addresses, one coordinator at a time, and disks that are full."""

import errno
import os
import sqlite3
import time

import pytest
from optuna.storages import InMemoryStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

from dropsmith.errors import SearchError
from dropsmith.files import waiting
from dropsmith.pattern_search import Choice, ListedSpace, part, search
from dropsmith.pattern_search.journal_file import Journal
from dropsmith.pattern_search.storage import StorageLocation, parse_location, storage_error
from dropsmith.pattern_search.storage_backends import open_storage
from dropsmith.patterns import Bernoulli
from dropsmith.plans.rule import rule
from pattern_search.small import SPACE, by_rates, reporting


def run(storage, *, score=reporting, trials=3, space=SPACE, **settings):
    asked = {"sampler": "random", "executor": "serial", "storage": storage} | settings
    return search(score, space, trials=trials, **asked)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("study.db", StorageLocation("sqlite", "study.db")),
        ("sqlite:///runs/study.db", StorageLocation("sqlite", "runs/study.db")),
        ("journal:/tmp/study.log", StorageLocation("journal", "/tmp/study.log")),
        (
            "postgresql://me@host/base",
            StorageLocation("postgresql", "postgresql+psycopg://me@host/base"),
        ),
        ("postgres+psycopg2://h/b", StorageLocation("postgresql", "postgres+psycopg2://h/b")),
    ],
)
def test_an_address_says_what_kind_of_place_it_is(address, place):
    assert parse_location(address) == place


@pytest.mark.parametrize(
    ("address", "printed"),
    [
        ("postgresql://me@host:5432/base", "://me@host:5432/base"),
        ("postgresql://me:se:cret@host/base", "://me:***@host/base"),
        ("postgresql://me:se@cret@host/base", "://me:***@host/base"),
        ("postgresql://host/base?user=me&password=secret", "://host/base?user=me&password=***"),
        (
            "postgresql://me@host:5432/base?password=se@cret&connect_timeout=3",
            "://me@host:5432/base?password=***&connect_timeout=3",
        ),
    ],
)
def test_a_password_is_not_printed(address, printed):
    assert str(parse_location(address)).endswith(printed)


def test_a_password_at_an_address_that_is_refused_is_not_printed():
    with pytest.raises(SearchError, match=r"at 'mysql://me:\*\*\*@host/base'"):
        parse_location("mysql://me:secret@host/base")


def test_a_password_that_is_cut_by_its_own_at_is_not_repeated_in_the_reason():
    place = parse_location("postgresql://me:se@cret@host/base")
    said = str(storage_error(place, OSError("failed to resolve host 'cret@host'")))
    assert "cret" not in said
    assert "%40" in said
    place = parse_location("postgresql://me@there:secret@host/base")
    assert str(storage_error(place, OSError("no such host"))).endswith(
        "***@host/base\n  no such host"
    )


def test_a_port_that_is_no_number_is_said_to_be_none():
    with pytest.raises(SearchError, match=r"cannot open a study in .*://me:\*\*\*@host:abc/base"):
        run("postgresql://me:secret@host:abc/base")


@pytest.mark.parametrize("address", ["mysql://me@host/base", "redis://host", ""])
def test_other_addresses_are_refused_with_those_there_are(address):
    with pytest.raises(SearchError, match=r"journal:FILE, or postgresql://"):
        parse_location(address)


@pytest.mark.parametrize("address", ["{}/new/study.db", "journal:{}/new/study.log"])
def test_what_is_read_again_is_what_was_found(address, tmp_path):
    where = address.format(tmp_path)
    first = run(where, direction="minimise")
    again = run(where, direction="minimise", score=by_rates)  # which is not called
    assert again == first
    assert [len(one.reports) for one in again.trials] == [2, 2, 2]


@pytest.mark.parametrize("address", ["{}/study.db", "journal:{}/study.log"])
def test_a_second_coordinator_of_the_same_study_is_refused(address, tmp_path):
    where = address.format(tmp_path)
    with (
        open_storage(parse_location(where), "search"),
        pytest.raises(SearchError, match="another process"),
    ):
        run(where)
    run(where)


@pytest.mark.slow
def test_a_file_holds_several_studies_by_name(tmp_path):
    where = tmp_path / "study.db"
    first, second = run(where, name="one"), run(where, name="two", seed=3)
    assert first.trials != second.trials
    assert run(where, name="one") == first


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"sampler": "tpe"}, "started with sampler 'random', not 'tpe'"),
        ({"seed": 1}, "started with seed 0, not 1"),
        ({"direction": "minimise"}, "started with direction 'maximise', not 'minimise'"),
    ],
)
def test_a_study_goes_on_only_as_it_was_begun(other, says, tmp_path):
    run(tmp_path / "study.db")
    with pytest.raises(SearchError, match=rf"{says}[\s\S]*another name or storage"):
        run(tmp_path / "study.db", **other)


def test_a_study_over_another_space_is_refused(tmp_path):
    run(tmp_path / "study.db")
    rate = Choice("a.rate", (0.1, 0.2))
    other = ListedSpace((rate,), (part(rule("a", Bernoulli(rate=0.1)), sets={"rate": "a.rate"}),))
    with pytest.raises(SearchError, match="with another space"):
        run(tmp_path / "study.db", space=other)
    run(tmp_path / "study.db", space=other, name="other", score=lambda plan: 0.0)


@pytest.mark.parametrize(
    "text",
    [b"no json\n", b'{"op_code": 4}\n', b"\x89PNG\r\n\x1a\n" * 9],
    ids=["text", "part", "png"],
)
@pytest.mark.parametrize("address", ["{}", "journal:{}"])
def test_a_file_that_holds_no_study_is_refused_and_left_as_it_is(address, text, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(SearchError, match="cannot open a study"):
        run(address.format(path))
    assert path.read_bytes() == text


def test_a_line_that_a_kill_cut_short_is_taken_off(tmp_path):
    path = tmp_path / "study.log"
    whole = run(f"journal:{path}", trials=5)
    lines = path.read_bytes().splitlines(keepends=True)
    for cut in (1, len(lines[-1]) // 2, len(lines[-1]) - 1):
        path.write_bytes(b"".join(lines[:-1]) + lines[-1][:cut])
        assert run(f"journal:{path}", trials=5) == whole


def test_a_lock_left_by_a_kill_does_not_hold_up_the_next_run(tmp_path):
    path = tmp_path / "study.log"
    run(f"journal:{path}")
    lock = path.with_suffix(".log.lock")
    lock.symlink_to("dropsmith lock of 1 on elsewhere")
    run(f"journal:{path}")  # or this would take the half minute after which Optuna breaks a lock
    for text in (path, path.name):
        lock.symlink_to(text)
        with pytest.raises(SearchError, match="another program is writing to it"):
            run(f"journal:{path}")
        os.utime(lock, (0, time.time() - 31), follow_symlinks=False)
        run(f"journal:{path}")
    assert not lock.is_symlink()


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_WAIT", 0.01)


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tmp_path, hurry, monkeypatch, capsys):
    expected = run(f"journal:{tmp_path}/whole.log")
    append, count = Journal.append_logs, iter(range(1000))

    def half(self, logs):
        """Every third write leaves half a line, as a disk does that fills up."""
        if next(count) % 3 == 2:
            append(self, logs)
            with open(self._path, "rb+") as file:
                file.truncate(file.seek(0, 2) - 20)
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, logs)

    path = tmp_path / "full.log"
    monkeypatch.setattr(Journal, "append_logs", half)
    with pytest.raises(SearchError, match=r"cannot open a study[\s\S]*No space left"):
        run(f"journal:{path}")  # nothing is lost yet, so nothing is waited for
    found = run(f"journal:{path}")
    assert _course(found) == _course(expected)
    said = capsys.readouterr().err
    assert f"cannot write to journal:{path}: [Errno 28] No space left on device; again in" in said
    monkeypatch.setattr(Journal, "append_logs", append)
    assert run(f"journal:{path}") == found


def test_a_write_that_failed_after_it_was_made_is_not_made_twice(tmp_path, hurry, monkeypatch):
    append = Journal.append_logs

    def late(self, logs):
        append(self, logs)
        if logs[0]["op_code"] == 4 and not hasattr(late, "once"):  # CREATE_TRIAL
            late.once = True
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Journal, "append_logs", late)
    found = run(f"journal:{tmp_path}/study.log")
    assert late.once
    assert [(one.number, one.proposal_index, one.retry) for one in found.trials] == [
        (0, 0, 0),
        (1, 1, 0),
        (2, 2, 0),
    ]


@pytest.mark.slow
def test_a_database_that_may_not_grow_is_waited_for(tmp_path, hurry, monkeypatch, capsys):
    """SQLite itself refuses to write: it may have no more pages than it has, for a while."""
    where, pages = tmp_path / "study.db", [10**6]
    expected = run(InMemoryStorage(), trials=8)

    def limit(connection, record):
        if isinstance(connection, sqlite3.Connection):
            connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    event.listen(Engine, "connect", limit)
    event.listen(Engine, "checkout", lambda connection, record, proxy: limit(connection, record))
    monkeypatch.setattr(waiting, "sleep", lambda seconds: pages.append(pages.pop() + 4))
    try:
        run(where, trials=1)
        pages[0] = where.stat().st_size // 4096
        found = run(where, trials=8)
    finally:
        event.remove(Engine, "connect", limit)
    assert "database or disk is full" in capsys.readouterr().err
    assert _course(found) == _course(expected)


def _course(result):
    return [
        (one.proposal_index, one.tokens, one.score, one.reports, one.tell_order)
        for one in result.trials
    ]


def test_where_nothing_can_be_written_a_search_does_not_begin(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SearchError, match="cannot open a study"):
        run(tmp_path / "file" / "study.db")
    with pytest.raises(SearchError, match=r"cannot open a study[\s\S]*too long"):
        run(tmp_path / ("a" * 250))  # the file could be made, but not the lock beside it
