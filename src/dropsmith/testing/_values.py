"""What every frozen value of this library promises, as checks that say what is broken."""

import json
import pickle
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any


def check_frozen(value: Any) -> None:
    """Assert that a value cannot be changed, hashes, and equals its copies.

    >>> from dropsmith.patterns import Bernoulli
    >>> check_frozen(Bernoulli(rate=0.1))
    """
    for field in fields(value):
        try:
            setattr(value, field.name, getattr(value, field.name))
        except FrozenInstanceError:
            continue
        raise AssertionError(f"{value!r} lets {field.name!r} be set: use @dataclass(frozen=True)")
    for copy in (replace(value), deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert copy == value, f"a copy of {value!r} differs from it: {copy!r}"
        assert hash(copy) == hash(value), f"equal values of {type(value).__name__} hash differently"


def check_json(value: Any, from_json: Callable[[Any], Any]) -> None:
    """Assert that `value.to_json()` survives a file and that `from_json` reads it back.

    >>> from dropsmith.patterns import Bernoulli, from_json
    >>> check_json(Bernoulli(rate=0.1), from_json)
    """
    text = json.dumps(value.to_json(), allow_nan=False)
    again = from_json(json.loads(text))
    assert again == value, f"{value!r} came back from its JSON as {again!r}\n  JSON: {text}"


def check_repr(value: Any, names: Mapping[str, Any]) -> None:
    """Assert that what `repr` prints can be typed, with `names` imported, to get the value.

    >>> from dropsmith.patterns import Bernoulli
    >>> check_repr(Bernoulli(rate=0.1), {"Bernoulli": Bernoulli})
    """
    again = eval(repr(value), dict(names))
    assert again == value, f"{value!r} is what it prints, but typed it is {again!r}"
