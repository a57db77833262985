"""A space: named choices, and the plan that each way of choosing stands for."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from math import isfinite, prod
from typing import Any

from dropsmith.errors import SearchError, did_you_mean, excerpt, first_repeated
from dropsmith.files import check
from dropsmith.instances import check_type
from dropsmith.pattern_search.spaces.schemas import StoredChoice
from dropsmith.plans import Plan
from dropsmith.record import config_id

FORMAT, VERSION = "dropsmith.space", 1

Value = int | float | str | bool
Tokens = tuple[int, ...]
"""For each choice of a space, in order, the index of the value that is taken."""


@dataclass(frozen=True)
class Choice:
    """One thing to decide, and what it may be.

    >>> Choice("stage1.size", (0, 2, 4))
    Choice(name='stage1.size', values=(0, 2, 4))

    Args:
        name: its name, of which a space has each only once.
        values: what may be taken, each different from the others.

    Raises:
        SearchError: there is no value, or one stands twice.
    """

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise SearchError(f"a choice is called by a name, got {excerpt(self.name)}")
        if not isinstance(self.values, tuple) or not self.values:
            raise SearchError(
                f"choice {excerpt(self.name)} takes a tuple of values, got {excerpt(self.values)}"
            )
        for value in self.values:
            if not isinstance(value, int | float | str | bool):
                shown = excerpt(value)
                raise SearchError(
                    f"choice {excerpt(self.name)}: {shown} is no number, text or bool"
                )
            if isinstance(value, float) and not isfinite(value):
                raise SearchError(
                    f"choice {excerpt(self.name)}: {excerpt(value)} is no finite number"
                )
        # 1 == True, but as choices they are two.
        if len({(type(value), value) for value in self.values}) < len(self.values):
            raise SearchError(
                f"choice {excerpt(self.name)} has a value twice: {excerpt(self.values)}"
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `choice_from_json` makes an equal choice."""
        return {"name": self.name, "values": list(self.values)}


def choice_from_json(values: Any) -> Choice:
    """The choice in a JSON object."""
    check(values, StoredChoice, SearchError)
    return Choice(values["name"], tuple(values["values"]))


class Space(ABC):
    """Everything a search may propose; a subclass is a frozen dataclass with a field `choices`."""

    choices: tuple[Choice, ...]

    @abstractmethod
    def plan(self, tokens: Tokens) -> Plan:
        """The plan that these tokens stand for."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The rest of the space beside its choices, as JSON values."""

    @property
    def size(self) -> int:
        """The number of ways of choosing."""
        return prod(len(choice.values) for choice in self.choices)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that name the space; a study is bound to them."""
        return config_id(self.to_json())

    def all_tokens(self) -> Iterator[Tokens]:
        """Iterate over all tokens there are, the last choice changing fastest."""
        return product(*(range(len(choice.values)) for choice in self.choices))

    def describe(self, tokens: Tokens) -> dict[str, Value]:
        """The value of each choice, by name."""
        self.check(tokens)
        pairs = zip(self.choices, tokens, strict=True)
        return {choice.name: choice.values[token] for choice, token in pairs}

    def tokens(self, values: Mapping[str, Value]) -> Tokens:
        """The tokens of these values; the other way round than `describe`."""
        names = [choice.name for choice in self.choices]
        for name in values:
            if name not in names:
                raise SearchError(
                    f"no choice is called {excerpt(name)}" + did_you_mean(name, names)
                )
        return tuple(_index(choice, values) for choice in self.choices)

    def check(self, tokens: Tokens) -> None:
        """Raise `SearchError` unless these are tokens of this space."""
        if len(tokens) != len(self.choices):
            raise SearchError(
                f"{len(tokens)} tokens for a space of {len(self.choices)} choices: "
                f"{excerpt(tokens)}"
            )
        for choice, token in zip(self.choices, tokens, strict=True):
            if isinstance(token, bool) or not isinstance(token, int):
                raise SearchError(
                    f"choice {excerpt(choice.name)}: a token is an index, got {excerpt(token)}"
                )
            if not 0 <= token < len(choice.values):
                raise SearchError(
                    f"choice {excerpt(choice.name)} has no value {token}\n  it has: "
                    f"{excerpt(choice.values)}"
                )

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `space_from_json` makes an equal space."""
        head = {"format": FORMAT, "version": VERSION, "space": type(self).__name__}
        return head | {"choices": [choice.to_json() for choice in self.choices]} | self.settings()


def check_values(name: str, values: Any, kind: type) -> None:
    """Raise `ArgumentError` unless these are a tuple of values of a class."""
    check_type(name, values, tuple, f"a tuple of values of the class {kind.__name__}")
    for value in values:
        check_type(f"each of {name}", value, kind, f"a {kind.__name__}")


def check_token_values(tokens: Any) -> None:
    """Raise an error unless each field of a dataclass is a tuple of values that a choice takes."""
    for field in fields(tokens):
        Choice(field.name, getattr(tokens, field.name))


def check_choices(choices: tuple[Choice, ...]) -> None:
    """Raise `SearchError` unless these are choices with names of their own."""
    check_values("choices", choices, Choice)
    if not choices:
        raise SearchError("a space has one choice or more, got none")
    twice = first_repeated(choice.name for choice in choices)
    if twice is not None:
        raise SearchError(f"several choices are called {excerpt(twice)}: give each its own name")


def _index(choice: Choice, values: Mapping[str, Value]) -> int:
    if choice.name not in values:
        raise SearchError(
            f"nothing is chosen for {excerpt(choice.name)}\n  one of: {excerpt(choice.values)}"
        )
    target = values[choice.name]
    for index, value in enumerate(choice.values):
        if value == target and isinstance(value, bool) == isinstance(target, bool):
            return index
    raise SearchError(
        f"choice {excerpt(choice.name)} cannot be {excerpt(target)}\n  one of: "
        f"{excerpt(choice.values)}"
    )
