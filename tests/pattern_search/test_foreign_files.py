"""A file of somebody else's is refused as a study's storage, and stays as it is to the byte."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from dropsmith.errors import SearchError
from dropsmith.pattern_search import search
from dropsmith.pattern_search.storage import parse_location
from pattern_search.small import SPACE, by_rates


def run(storage: Any, *, trials: int = 2, **settings: Any):
    asked = {"sampler": "random", "executor": "serial", "storage": storage}
    return search(by_rates, SPACE, trials=trials, **asked | settings)


def everything(folder: Path) -> dict[str, Any]:
    """Each file of a folder: its bytes or link, and the time it was changed."""
    return {
        str(path.relative_to(folder)): (
            os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes(),
            os.lstat(path).st_mtime_ns,
            os.lstat(path).st_mode,
        )
        for path in sorted(folder.rglob("*"))
    }


def refused(storage: str, folder: Path, says: str) -> None:
    before = everything(folder)
    with pytest.raises(SearchError, match=rf"cannot open a study in[\s\S]*{says}"):
        run(storage)
    assert everything(folder) == before


STEP = {"op_code": 0, "worker_id": "a", "study_name": "search@0123456789ab", "directions": [2]}
FOREIGN = {
    "no line": b"some text without an end",
    "text": b"first line\nsecond line without an end",
    "json": b'{"a": 1}\n{"b": 2}\n{"c"',
    "part": b'{"op_code":4}\n',
    "list": b"[0]\n",
    "png": b"\x89PNG\r\n\x1a\n" * 9,
    "short": b"{",
    "words": b'{"op_code":0,"worker_id":"a"}\n',
    "truth": json.dumps(STEP | {"op_code": False}).encode() + b"\n",
    "name": json.dumps(STEP | {"study_name": "mine"}).encode() + b"\n",
    "number": json.dumps(STEP | {"study_name": 7}).encode() + b"\nrest",
    "utf-16": "a,b\n1,2\n".encode("utf-16"),
    "long": b"x" * 200_000,
    "deep": b'{"op_code":0,"a":' + b"[" * 5000,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_journal_stays_as_it_is(name: str, tmp_path: Path):
    path = tmp_path / "file.log"
    path.write_bytes(FOREIGN[name])
    os.utime(path, (1, 1))
    refused(
        f"journal:{path}",
        tmp_path,
        "it is a journal|its first line is not|its only line is cut short",
    )


def test_a_journal_of_optunas_that_holds_no_search_stays_as_it_is(tmp_path: Path):
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "file.log")))
    optuna.create_study(study_name="mine", storage=storage)
    refused(f"journal:{tmp_path}/file.log", tmp_path, "but of no search: its study is 'mine'")


@pytest.mark.parametrize("rest", [b"a note", b'{"op', b'{"op_code":9,"x'])
def test_what_follows_a_journal_is_cut_off_only_if_it_is_the_rest_of_a_line(
    rest: bytes, tmp_path: Path
):
    path = tmp_path / "file.log"
    whole = run(f"journal:{path}")
    with path.open("ab") as file:
        file.write(rest)
    if rest.startswith(b"{"):
        assert run(f"journal:{path}") == whole
        assert not path.read_bytes().endswith(rest)
    else:
        refused(f"journal:{path}", tmp_path, "it does not end in a line of a journal")


@pytest.mark.parametrize("line", [b"a note\n", b"[]\n", b'{"op_code":99}\n', b'{"op_code":5}\n'])
def test_a_line_that_is_no_step_is_named_and_stays(line: bytes, tmp_path: Path):
    path = tmp_path / "file.log"
    run(f"journal:{path}")
    lines = path.read_bytes().splitlines(keepends=True)
    for place in (3, len(lines)):
        path.write_bytes(b"".join([*lines[:place], line, *lines[place:]]))
        refused(f"journal:{path}", tmp_path, f"line {place + 1} is no|its last line is no step")


def test_an_empty_file_becomes_a_journal_and_a_first_line_that_was_cut_short_too(tmp_path: Path):
    path = tmp_path / "file.log"
    path.touch()
    whole = run(f"journal:{path}")
    first = path.read_bytes().splitlines()[0]
    for length in (len(b'{"op_code":0'), 20, 26, len(first) // 2, len(first)):
        path.write_bytes(first[:length])
        again = run(f"journal:{path}")
        assert [t.tokens for t in again.trials] == [t.tokens for t in whole.trials]


@pytest.mark.parametrize("length", [1, 5, len(b'{"op_code":')])
def test_too_little_of_a_first_line_to_say_whose_it_is_stays_and_the_way_on_is_said(
    length: int, tmp_path: Path
):
    path = tmp_path / "file.log"
    path.write_bytes(b'{"op_code":0,"worker_id":"'[:length])
    says = rf"cut short after {length} bytes[\s\S]*remove it and give the same command again"
    refused(f"journal:{path}", tmp_path, says)


def test_a_database_whose_tables_have_the_names_of_optunas_stays_as_it_is(tmp_path: Path):
    path = tmp_path / "study.db"
    for table, columns in (("studies", "id, title"), ("trials", "trial_id, note")):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"create table {table} ({columns})")
        refused(str(path), tmp_path, f"its table '{table}' has no column")
        path.unlink()


@pytest.mark.parametrize("kind", ["journal:", ""])
def test_what_is_no_regular_file_stays(kind: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        refused(f"{kind}{tmp_path / name}", tmp_path, "it is not a regular file")


def put_folder(path: Path) -> None:
    path.mkdir()


def put_text(path: Path) -> None:
    path.write_text("somebody's")


def put_link(path: Path) -> None:
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("suffix", ["lock", "running"])
@pytest.mark.parametrize("put", [put_folder, put_text, put_link])
def test_what_stands_where_a_lock_goes_and_is_none_stays(suffix: str, put: Any, tmp_path: Path):
    path = tmp_path / "file.log"
    run(f"journal:{path}")
    beside = tmp_path / f"file.log.{suffix}"
    if suffix == "running":
        beside.unlink()
    put(beside)
    refused(
        f"journal:{path}", tmp_path, f"file.log.{suffix} exists, but is not the lock of a search"
    )


NAMES = [
    *("a?b.db", "a#b.db", "a%20b.db", "a b.db", ":memory:", "it's.db", 'a"b.db', "{}.db"),
    *("{SCHEMA_VERSION}.db", "größe ✓.db", "file:x?mode=ro", "a;b&c=d.db", "-x.db", "a\\b.db"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_sqlite_file_may_have_any_name(name: str, tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    found = run(name)
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.search.running"}
    assert (tmp_path / name).read_bytes().startswith(b"SQLite format 3")
    assert run(f"sqlite:///{tmp_path / name}") == found


def test_a_path_is_a_path_whatever_its_name_says():
    for name in ("journal:a", "sqlite:a"):
        assert parse_location(Path(name)).kind == "sqlite"
        assert parse_location(Path(name)).address == name
    assert str(parse_location("a?password=b")) == "a?password=b"


def other_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("create table notes (text)")
        base.execute("insert into notes values ('keep me')")


def only_an_id(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("pragma application_id = 77")
        base.execute("pragma user_version = 3")


def other_beside_optuna(path: Path) -> None:
    optuna_study(path)
    other_application(path)


def optuna_study(path: Path) -> None:
    optuna.create_study(study_name="mine", storage=f"sqlite:///{path}")


def write_ahead(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("pragma journal_mode = wal")
        base.execute("create table notes (text)")
        base.commit()


def broken(path: Path) -> None:
    other_application(path)
    path.write_bytes(path.read_bytes()[:3000])


def text(path: Path) -> None:
    path.write_text("no database")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (other_application, "another application: it has the table 'notes'"),
        (only_an_id, "another application: its id is 77"),
        (other_beside_optuna, "another application: it has the table 'notes'"),
        (optuna_study, "without searches of dropsmith: it has 'mine'"),
        (write_ahead, "another application: it has the table 'notes'"),
        (broken, "malformed"),
        (text, "file is not a database"),
    ],
)
def test_a_database_of_somebody_else_stays_as_it_is(make: Any, says: str, tmp_path: Path):
    make(tmp_path / "base.db")
    os.utime(tmp_path / "base.db", (1, 1))
    refused(str(tmp_path / "base.db"), tmp_path, says)


def test_an_empty_file_and_a_database_without_tables_become_a_storage(tmp_path: Path):
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "base.db")) as base:
        base.execute("vacuum")
    for name in ("empty.db", "base.db"):
        assert len(run(tmp_path / name).trials) == 2


def test_a_storage_that_holds_a_search_may_hold_studies_of_others(tmp_path: Path):
    found = run(tmp_path / "base.db")
    optuna_study(tmp_path / "base.db")
    assert run(tmp_path / "base.db") == found


def test_what_a_killed_process_was_writing_is_mended(tmp_path: Path):
    """A database with a journal of SQLite's beside it, as a kill in a transaction leaves it."""
    found = run(tmp_path / "base.db")
    with closing(sqlite3.connect(tmp_path / "base.db")) as base:
        base.execute("pragma cache_size = 1")
        base.execute("begin immediate")
        base.execute("update trials set number = number + 100")
        base.execute("create table filler as select randomblob(100000)")
        files = {path.name: path.read_bytes() for path in tmp_path.glob("base.db*")}
        base.rollback()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, data in files.items():
        (copy / name).write_bytes(data)
    assert (copy / "base.db-journal").stat().st_size > 512
    assert run(copy / "base.db") == found


def test_a_database_that_takes_no_more_rows_is_one_sentence(tmp_path):
    path = tmp_path / "study.db"
    settings = {"executor": "serial", "sampler": "random", "storage": path}
    search(by_rates, SPACE, trials=2, **settings)
    with sqlite3.connect(path) as database:
        refusal = "BEGIN SELECT RAISE(ABORT, 'no more trials'); END"
        database.execute(f"CREATE TRIGGER full BEFORE INSERT ON trials {refusal}")
    database.close()
    with pytest.raises(SearchError, match=r"cannot open a study in .*study\.db\n  no more trials"):
        search(by_rates, SPACE, trials=3, **settings)
