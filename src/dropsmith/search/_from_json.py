"""A space from its JSON."""

from collections.abc import Callable
from typing import Any

from dropsmith.errors import SearchError, did_you_mean
from dropsmith.search.conv_space import conv_from_json
from dropsmith.search.listed import listed_from_json
from dropsmith.search.sequence_space import sequence_from_json
from dropsmith.search.space import FORMAT, VERSION, Choice, Space, choice_from_json

_Reader = Callable[[dict[str, Any], tuple[Choice, ...]], Space]

_SPACES: dict[str, _Reader] = {
    "ConvSpace": conv_from_json,
    "ListedSpace": listed_from_json,
    "SequenceSpace": sequence_from_json,
}


def space_from_json(values: Any) -> Space:
    """The space in a JSON object; `SearchError` for anything else."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise SearchError(f"not a space: its format is not {FORMAT!r}")
    if values.get("version") != VERSION:
        raise SearchError(f"a space of version {values.get('version')!r}; read here is {VERSION}")
    name = values.get("space")
    if name not in _SPACES:
        raise SearchError(f"no space is called {name!r}" + did_you_mean(str(name), _SPACES))
    choices = tuple(choice_from_json(one) for one in values.get("choices", ()))
    try:
        return _SPACES[name](values, choices)
    except (KeyError, TypeError, ValueError) as error:
        raise SearchError(f"not a {name}\n  {error}") from None
