"""JSON that is checked as it is read: size, encoding, depth, then fields, types and ranges."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, TypeVar

from dropsmith.errors import DataError, DropsmithError, did_you_mean, excerpt, first_repeated

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")

LARGEST = 256 * 2**20
"""The bytes of the largest JSON file that is read."""

_RULE_START = re.compile(r"^(Input|Value|List|Dictionary|String|Predicate) ")
_STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
_PLAIN = re.compile(r"[\w .+-]{1,60}")


def read_json(path: Path, *, unique_keys: bool = False) -> Any:
    """The values in a JSON file: in UTF-8, of at most `LARGEST` bytes, at most 200 levels deep.

    Args:
        path: of a regular file.
        unique_keys: refuse an object that has a key twice, as one that a person wrote may have;
            it takes the time of a second reading.

    Raises:
        DataError: the file holds no such JSON; the message does not name the file.
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise DataError("it is not a regular file")
    if (size := path.stat().st_size) > LARGEST:
        raise DataError(f"it is {size:,} bytes long; read are at most {LARGEST:,}")
    data = path.read_bytes()
    values = parse_json(data)
    if unique_keys:
        json.loads(data, object_pairs_hook=_unique)
    return values


def parse_json(text: str | bytes) -> Any:
    """The values in a text of JSON, which is at most 200 levels deep.

    >>> parse_json("[0.5, null]")
    [0.5, None]

    Raises:
        DataError: the text is no such JSON.
    """
    from pydantic_core import from_json

    try:
        return from_json(text, allow_inf_nan=True)
    except ValueError as error:
        raise DataError(f"it is not JSON: {error}") from None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = first_repeated(key for key, _ in pairs)
        raise DataError(f"one object has the field {excerpt(twice)} twice\n  keep one of them")
    return values


def json_text(values: Any) -> str:
    """Values as lines of JSON that every reader takes: NaN as null, infinities as 1e999.

    >>> print(json_text({"scores": [0.5, float("inf"), float("nan")]}), end="")
    {
     "scores": [
      0.5,
      1e999,
      null
     ]
    }
    """
    return _with_json_constants(json.dumps(values, indent=1)) + "\n"


def json_line(values: Any) -> str:
    """As `json_text`, in one line, with letters of every alphabet as they are.

    >>> print(json_line({"text": "é", "score": float("nan")}), end="")
    {"text": "é", "score": null}
    """
    return _with_json_constants(json.dumps(values, ensure_ascii=False)) + "\n"


def _with_json_constants(text: str) -> str:
    if "Infinity" not in text and "NaN" not in text:
        return text
    return _STRING_OR_CONSTANT.sub(_strict, text)


def _strict(match: re.Match[str]) -> str:
    if match[0][0] == '"':
        return match[0]
    return match[0].replace("Infinity", "1e999").replace("NaN", "null")


def check(values: Any, schema: type[T], error: type[DropsmithError] = DataError) -> T:
    """The values as they are, if they have the fields, types and ranges of a schema.

    >>> from typing_extensions import TypedDict
    >>> class Point(TypedDict):
    ...     x: float
    >>> check({"x": 1.5}, Point)
    {'x': 1.5}
    >>> check({"x": "1.5"}, Point)
    Traceback (most recent call last):
    dropsmith.errors.DataError: field x should be a valid number, but is '1.5'

    Args:
        values: as `read_json` returns them.
        schema: a type, such as a `TypedDict`, whose fields may be annotated with the ranges of
            `annotated_types`. Fields that it does not name are refused. Numbers in text and the
            like are not converted.
        error: the class of error to raise.

    Raises:
        DataError: a field is missing, unknown, of another type or out of range; or the class that
            was given as `error`.
    """
    from pydantic import ValidationError

    try:
        _adapter(schema).validate_python([values])
    except ValidationError as fault:
        raise error(_sentence(fault.errors(include_url=False)[0], values, schema)) from None
    return values  # and not a copy, where 1 is 1.0 if it is in a field of that type


@lru_cache(maxsize=64)
def _adapter(schema: type) -> "TypeAdapter[list[Any]]":
    from pydantic import ConfigDict, TypeAdapter

    # In a list, as only then does the configuration reach a `TypedDict`, which has no own.
    values: Any = GenericAlias(list, (schema,))
    return TypeAdapter(values, config=ConfigDict(strict=True, extra="forbid"))


def _sentence(fault: "ErrorDetails", values: Any, schema: type) -> str:
    name = _field(fault["loc"][1:], values)
    if fault["type"] == "missing":
        return f"field {name} is missing"
    if fault["type"] == "extra_forbidden":
        fields = getattr(schema, "__annotations__", {})
        return f"field {name} is unknown" + did_you_mean(name, fields)
    rule = _RULE_START.sub("", fault["msg"]).replace(" after validation", "")
    if fault["type"] == "predicate_failed":
        rule = "should be " + rule.split("'")[1].replace("_", " ")
    return f"{f'field {name}' if name else 'the whole'} {rule}, but is {excerpt(fault['input'])}"


def _field(place: Sequence[int | str], values: Any) -> str:
    """The path of a field; pydantic's also names the member of a union that a value is none of."""
    names: list[str] = []
    for index, part in enumerate(place):
        is_inside = part in values if isinstance(values, dict) else isinstance(part, int)
        if is_inside:
            values = values[part]
        elif index < len(place) - 1 or not isinstance(values, dict):
            continue
        text = str(part)
        names.append(text if _PLAIN.fullmatch(text) else excerpt(text))
    return ".".join(names)
