"""A study that was changed by hand is one error that names the study, the trial and the field."""

import json
import random
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropsmith.errors import SearchError
from dropsmith.pattern_search import Result, search
from dropsmith.pattern_search.stored_trials import check_together
from faults.mutate import WRONG_VALUES, mutate_bytes, mutate_json
from pattern_search.small import SPACE, reporting


def run(storage: Any, **settings: Any) -> Result:
    asked = {"sampler": "random", "executor": "serial", "storage": storage}
    return search(reporting, SPACE, trials=3, **asked | settings)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    run(folder / "study.db")
    run(f"journal:{folder / 'study.log'}")
    return folder


def edit_line(path: Path, key: str, change: Any) -> None:
    """Change the value of an attribute in a journal where it is first set."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    holders = [line[part] for line in lines for part in ("user_attr", "user_attrs") if part in line]
    holder = next(attributes for attributes in holders if key in attributes)
    if change is None:
        holder["other"] = holder.pop(key)
    else:
        holder[key] = change(holder[key]) if callable(change) else change
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


FIELDS = [
    ("tokens", [0, 1], "2 tokens for a space of 3"),
    ("tokens", [0, 1, 99], "choice 'third.rate' has no value 99"),
    ("tokens", "012", "field tokens should be a valid list"),
    ("tokens", [0, 0, True], "field tokens.2 should be a valid integer"),
    ("tokens", [0, 0, 0], "parameter .* is .*, but its token means"),
    ("asked", -1, "field asked should be greater than or equal to 0, but is -1"),
    ("asked", 2**60, "field asked should be less"),
    ("asked", 7, "no trial has 0 in its field asked"),
    ("asked", "0", "field asked should be a valid integer, but is '0'"),
    ("asked", None, "field asked is missing"),
    ("version", 1.5, "field version should be a valid integer"),
    ("log_probability", float("nan"), "field log_probability is nan"),
    ("retry_of", 9, "field retry_of is 9, which is no trial"),
    ("end", [], "field end should be a valid dict"),
    ("end", lambda end: end | {"status": "done"}, "field end.status should be 'finished', 'sto"),
    ("end", lambda end: end | {"score": float("inf")}, "field end.score is inf"),
    ("end", lambda end: end | {"score": None}, "field end.score is None, and field end.status"),
    ("end", lambda end: end | {"score": 7.0}, "its value is .*, and field end.score 7.0"),
    ("end", lambda end: end | {"status": "lost", "score": None}, "its state is COMPLETE, and"),
    ("end", lambda end: end | {"told": 1}, "field end.told is 1 in another, too"),
    ("end", lambda end: end | {"color": 1}, "field end.color is unknown"),
    ("end", lambda end: {"status": "failed"}, "field end.score is missing"),
]


@pytest.mark.parametrize(("key", "value", "says"), FIELDS)
def test_a_field_of_a_trial_is_named_with_study_and_trial(
    key: str, value: Any, says: str, studies: Path, tmp_path: Path
):
    path = Path(shutil.copy(studies / "study.log", tmp_path / "study.log"))
    edit_line(path, key, value)
    data = path.read_bytes()
    trial = "" if "no trial has" in says else r"trial \d: "
    with pytest.raises(SearchError, match=rf"the search 'search' in journal:.*\n  {trial}{says}"):
        run(f"journal:{path}")
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("dropsmith", None, "field dropsmith is missing"),
        ("dropsmith", [1], "field dropsmith should be a dictionary"),
        ("dropsmith", {}, "started with format None, not 'dropsmith.study'"),
        ("space", {"a": 1}, "field space is another space than its name says"),
    ],
)
def test_a_field_of_the_study_is_named(
    key: str, value: Any, says: str, studies: Path, tmp_path: Path
):
    path = Path(shutil.copy(studies / "study.log", tmp_path / "study.log"))
    edit_line(path, key, value)
    with pytest.raises(SearchError, match=rf"the search 'search'[\s\S]*{says}"):
        run(f"journal:{path}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("update trials set state = 'FAIL'", "trial 0: its state is FAIL, and field end.status"),
        ("update trials set state = 'DONE'", "a row is invalid|LookupError"),
        ("update trial_params set param_value = 3.0", "trial 0: parameter first.rate is"),
        ("update trial_params set param_value = 99", "a row is invalid"),
        ("update trial_params set distribution_json = 'os.system'", "a row is invalid"),
        ("delete from trial_values", "trial 0: its value is"),
        ("delete from trial_user_attributes where key = 'end'", "trial 0: its state is COMPLETE"),
        ("update trial_user_attributes set value_json = '{'", "a row is invalid"),
        ("update trials set datetime_start = 'yesterday'", "a row is invalid"),
        ("drop table trial_params", "trial 0: parameter first.rate is None"),
        ("update study_directions set direction = 'MINIMIZE'", "field directions is .*minimize"),
        ("delete from trials where number = 1", "no trial has 1 in its field asked"),
    ],
)
def test_a_database_that_was_changed_by_hand_is_named(
    change: str, says: str, studies: Path, tmp_path: Path
):
    path = shutil.copy(studies / "study.db", tmp_path / "study.db")
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(change)
    with pytest.raises(SearchError, match=rf"(the search 'search'|a study)[\s\S]*({says})"):
        run(path)


def test_attributes_of_others_are_let_be(studies: Path, tmp_path: Path):
    path = shutil.copy(studies / "study.db", tmp_path / "study.db")
    before = run(path)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "insert into trial_user_attributes (trial_id, key, value_json) values (1, 'note', '7')"
        )
    assert run(path) == before


def test_trials_that_cannot_be_those_of_one_search_are_told_apart(studies: Path):
    trials = run(studies / "study.db").trials
    check_together(trials)
    with pytest.raises(SearchError, match=r"trial 1: field end.told is 0 in another"):
        check_together([trials[0], replace(trials[1], tell_order=0)])


@pytest.mark.slow
def test_journals_broken_at_random_are_read_or_refused_in_words(studies: Path, tmp_path: Path):
    data, path, refused = (studies / "study.log").read_bytes(), tmp_path / "study.log", 0
    lines = data.splitlines(keepends=True)
    for seed in range(160):
        rng = random.Random(seed)
        if seed % 2:
            broken = mutate_bytes(data, rng)
        else:
            place = rng.randrange(len(lines))
            line = json.dumps(mutate_json(json.loads(lines[place]), rng)).encode() + b"\n"
            broken = b"".join([*lines[:place], line, *lines[place + 1 :]])
        path.write_bytes(broken)
        (tmp_path / "study.log.running").unlink(missing_ok=True)
        try:
            run(f"journal:{path}")
        except SearchError as error:
            refused += 1
            if re.match("cannot open", str(error)):
                assert path.read_bytes() == broken
    assert refused > 80


def test_databases_broken_at_random_are_read_or_refused_in_words(studies: Path, tmp_path: Path):
    data, refused = (studies / "study.db").read_bytes(), 0
    for seed in range(25):
        path = tmp_path / f"{seed}.db"
        path.write_bytes(mutate_bytes(data, random.Random(seed)))
        try:
            run(path)
        except SearchError:
            refused += 1
    assert refused > 5


@pytest.mark.slow
def test_attributes_of_wrong_types_are_refused_in_words(studies: Path, tmp_path: Path):
    path = tmp_path / "study.log"
    for key in ("tokens", "asked", "end", "dropsmith", "space"):
        for value in WRONG_VALUES[1:]:
            shutil.copy(studies / "study.log", path)
            edit_line(path, key, value)
            if key != "asked" or value != 0:
                with pytest.raises(SearchError):
                    run(f"journal:{path}")
