"""JSON is checked as it is read."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import pytest
from annotated_types import Ge, Le
from typing_extensions import TypedDict

from dropsmith.errors import DataError, PlanError
from dropsmith.files import check, json_files, json_text, parse_json, read_json


class _Inner(TypedDict):
    rate: Annotated[float, Ge(0), Le(1)]


class _Outer(TypedDict):
    format: Literal["test"]
    count: int
    inner: list[_Inner]
    scores: NotRequired[dict[str, float]]


RIGHT: dict[str, Any] = {"format": "test", "count": 1, "inner": [{"rate": 0.5}]}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("values", [{"a": [1, 2.5, None, True, "é"]}, [], 3, {"x": 10**30}])
def test_what_json_writes_is_read(values: Any, tmp_path: Path):
    assert read_json(write(tmp_path / "a.json", json.dumps(values).encode())) == values


def test_infinities_are_read_as_python_writes_them(tmp_path: Path):
    values = read_json(write(tmp_path / "a.json", json.dumps([float("inf"), -1e400]).encode()))
    assert values == [float("inf"), float("-inf")]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe{}", b'{"a": "\\ud800"}', b"[" * 5000, b"1" * 5000, b"{} {}", b"nil"],
    ids=["empty", "cut", "utf16", "surrogate", "deep", "long number", "two", "word"],
)
def test_what_is_no_json_is_a_sentence(data: bytes, tmp_path: Path):
    with pytest.raises(DataError, match="it is not JSON: "):
        read_json(write(tmp_path / "a.json", data))


def test_a_key_that_is_there_twice_is_named(tmp_path: Path):
    path = write(tmp_path / "a.json", b'[{"rate": 0.1, "rate": 0.5}]')
    with pytest.raises(DataError, match="the field 'rate' twice"):
        read_json(path, unique_keys=True)


def test_a_key_that_is_there_twice_among_many_is_looked_for_once(tmp_path: Path):
    fields = ", ".join(f'"field {number}": 0' for number in [*range(200_000), 199_999])
    path = write(tmp_path / "a.json", f"{{{fields}}}".encode())
    with pytest.raises(DataError, match="the field 'field 199999' twice"):
        read_json(path, unique_keys=True)


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(DataError, match="not a regular file"):
        read_json(tmp_path)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_files, "LARGEST", 10)
    with pytest.raises(DataError, match="it is 11 bytes long; read are at most 10"):
        read_json(write(tmp_path / "a.json", b"[" + b" " * 9 + b"]"))


def test_values_of_a_schema_pass_as_they_are():
    assert check(RIGHT, _Outer) == RIGHT
    assert check(RIGHT | {"scores": {"nll": 1}}, _Outer).get("scores") == {"nll": 1.0}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([], "the whole should be a valid dictionary, but is []"),
        ({"format": "test", "inner": []}, "field count is missing"),
        (RIGHT | {"count": "1"}, "field count should be a valid integer, but is '1'"),
        (RIGHT | {"count": True}, "field count should be a valid integer, but is True"),
        (RIGHT | {"scroes": {}}, "field scroes is unknown\n  did you mean 'scores'?"),
        (RIGHT | {"inner": [{"rate": 2}]}, "field inner.0.rate should be less than or equal to 1"),
        (RIGHT | {"inner": [{"rate": 0, "x": 1}]}, "field inner.0.x is unknown"),
        (RIGHT | {"scores": {"nll": None}}, "field scores.nll should be a valid number"),
        (RIGHT | {"format": "x" * 999}, "field format should be 'test', but is 'xxx"),
    ],
)
def test_a_fault_is_named_by_its_field(values: Any, sentence: str):
    with pytest.raises(DataError) as error:
        check(values, _Outer)
    assert sentence in str(error.value)
    assert len(str(error.value)) < 200


def test_the_class_of_the_error_is_the_callers():
    with pytest.raises(PlanError):
        check([], _Outer, PlanError)


def test_a_number_that_python_does_not_write_is_refused_all_the_same():
    with pytest.raises(
        PlanError, match=r"rate should be .*, but is a number of thousands of digits"
    ):
        check({"rate": 10**5000}, _Inner, PlanError)


def test_a_whole_number_in_a_field_of_numbers_stays_one():
    values = {"format": "test", "count": 1, "inner": [{"rate": 1}], "scores": {"a": 3}}
    assert repr(check(values, _Outer)) == repr(values)


@pytest.mark.parametrize("text", ["{}", b"[0.5, null]", "[1e400]"])
def test_a_text_is_read_as_a_file_is(text: str | bytes):
    assert repr(parse_json(text)) == repr(json.loads(text))
    with pytest.raises(DataError, match="it is not JSON: "):
        parse_json(text[:-1])
    with pytest.raises(DataError, match="it is not JSON: "):
        parse_json("[" * 5000)


NUMBERS = {"a": [float("nan"), float("inf"), -float("inf"), 0.5], "NaN": '-Infinity, NaN " NaN'}


def test_json_that_is_written_has_no_constants_that_json_lacks():
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    values = json.loads(json_text(NUMBERS), parse_constant=refuse)
    assert values == NUMBERS | {"a": [None, float("inf"), -float("inf"), 0.5]}
