"""Noise inside Transformer blocks, the space of AutoDropout for sequences.

The paper (Pham & Le 2021) drops runs of tokens with gaps between them, shared or not along time and
along units, at sub-layers of a block. Which sub-layers and which values is not known: these are
ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dropsmith.errors import SearchError, excerpt
from dropsmith.numbers import is_count
from dropsmith.pattern_search.spaces.group import Group, check_groups, group_from_json
from dropsmith.pattern_search.spaces.schemas import SequenceValues
from dropsmith.pattern_search.spaces.space import (
    Choice,
    Space,
    Tokens,
    Value,
    check_choices,
    check_token_values,
    check_values,
)
from dropsmith.patterns import Bernoulli, Pattern, Spans
from dropsmith.plans import Plan, Rule, rule

SHARES = ("none", "span", "all")


@dataclass(frozen=True, kw_only=True)
class SequenceTokens:
    """The values that each token of a sub-layer may take; every default is ours.

    Args:
        size: steps of a run; 0 is no noise here and must be among them.
        stride: steps that stay between two runs. A share size / (size + stride) is dropped.
        share_t: `none`: each step by itself (plain dropout); `span`: in runs; `all`: all steps
            alike (locked dropout).
        share_c: whether all units drop the same steps.
    """

    size: tuple[int, ...] = (0, 1, 2, 4)
    stride: tuple[int, ...] = (1, 3, 9, 19)
    share_t: tuple[str, ...] = SHARES
    share_c: tuple[bool, ...] = (False, True)

    def __post_init__(self) -> None:
        check_token_values(self)
        if 0 not in self.size:
            raise SearchError(f"size must contain 0 (no noise), got {excerpt(self.size)}")
        if wrong := [share for share in self.share_t if share not in SHARES]:
            raise SearchError(
                f"share_t cannot be {excerpt(wrong[0])}\n  one of: {' '.join(SHARES)}"
            )
        if not all(is_count(stride, 1) for stride in self.stride):
            raise SearchError(f"stride must be 1 or more, got {excerpt(self.stride)}")

    def choices(self, group: Group) -> tuple[Choice, ...]:
        """The choices of a group."""
        return tuple(
            Choice(f"{group.name}.{token.name}", getattr(self, token.name))
            for token in fields(self)
        )


@dataclass(frozen=True)
class SequenceSpace(Space):
    """The plans that drop steps at each sub-layer; `spaces.sequence` makes it.

    Args:
        choices: of all groups, named `<group>.<token>`.
        groups: which sites the choices are about.
    """

    choices: tuple[Choice, ...]
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        check_choices(self.choices)
        check_values("groups", self.groups, Group)
        check_groups(self.groups, self.choices, SequenceValues)

    def plan(self, tokens: Tokens) -> Plan:
        """A rule for each group that is not left without noise."""
        values = self.describe(tokens)
        rules = (_rule(group, values) for group in self.groups)
        return Plan(*(rule for rule in rules if rule is not None))

    def settings(self) -> dict[str, Any]:
        """The groups, as JSON values."""
        return {"groups": [group.to_json() for group in self.groups]}


def sequence_from_json(values: dict[str, Any], choices: tuple[Choice, ...]) -> SequenceSpace:
    """The space whose choices were read from the same JSON object."""
    return SequenceSpace(choices, tuple(group_from_json(group) for group in values["groups"]))


def _rule(group: Group, values: Mapping[str, Value]) -> Rule | None:
    names = (token.name for token in fields(SequenceTokens))
    tokens: dict[str, Any] = {name: values[f"{group.name}.{name}"] for name in names}
    return rule(group.sites, _pattern(tokens)) if tokens["size"] else None


def _pattern(tokens: Mapping[str, Any]) -> Pattern:
    size, stride = tokens["size"], tokens["stride"]
    units = ("unit",) if tokens["share_c"] else ()
    if tokens["share_t"] == "span":
        return Spans(size=size, stride=stride, shared=" ".join(units))
    steps = ("time",) if tokens["share_t"] == "all" else ()
    return Bernoulli(rate=size / (size + stride), shared=" ".join((*steps, *units)))
