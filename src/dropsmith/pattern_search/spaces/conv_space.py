"""Noise on the maps of a convolutional network, the space of AutoDropout for images.

The paper (Pham & Le 2021) has eight tokens for each layer: size, stride, repeat, rotate, shear_x,
shear_y, share_c and residual. Which values each may take is not known: the tables here are ours. So
is a ninth token, `draw`: it makes DropBlock, whole channels and plain dropout points of the space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dropsmith.errors import SearchError, excerpt
from dropsmith.pattern_search.spaces.group import Group, check_groups, group_from_json
from dropsmith.pattern_search.spaces.schemas import ConvValues
from dropsmith.pattern_search.spaces.space import (
    Choice,
    Space,
    Tokens,
    Value,
    check_choices,
    check_token_values,
    check_values,
)
from dropsmith.patterns import Bernoulli, DropBlock, Pattern, Tiles
from dropsmith.plans import Plan, Rule, rule

WHOLE_MAP = "all"
"""The value of `repeat` that tiles the whole map."""

DRAWS = ("tiles", "blocks", "channels", "pixels")


@dataclass(frozen=True, kw_only=True)
class ConvTokens:
    """The values that each token of a map may take; every default is ours.

    Args:
        size: side of a block, as a share of the map's smaller side; 0 is no noise here and must be
            among them.
        stride: the gap between two blocks, as such a share.
        repeat: blocks along each axis; `"all"` tiles the map.
        rotate: degrees.
        shear_x, shear_y: pixels for a pixel.
        share_c: whether all channels drop the same pixels.
        residual: whether the shortcut beside a layer drops what the layer drops; for groups that
            have shortcuts in modules of their own.
        draw: `tiles`: the paper's; `blocks`: blocks of that size, each at a place of its own
            (DropBlock); `channels`: whole channels; `pixels`: each pixel by itself (plain dropout).
            All drop the share of pixels that a tiling of that size and stride covers.
    """

    size: tuple[float, ...] = (0, 1 / 8, 1 / 4, 1 / 2)
    stride: tuple[float, ...] = (1 / 8, 1 / 4, 1 / 2, 1)
    repeat: tuple[int | str, ...] = (1, 2, 4, WHOLE_MAP)
    rotate: tuple[float, ...] = (0, 15, 30, 45, 60, 75)
    shear_x: tuple[float, ...] = (0.0, 0.5)
    shear_y: tuple[float, ...] = (0.0, 0.5)
    share_c: tuple[bool, ...] = (False, True)
    residual: tuple[bool, ...] = (False, True)
    draw: tuple[str, ...] = DRAWS

    def __post_init__(self) -> None:
        check_token_values(self)
        if 0 not in self.size:
            raise SearchError(f"size must contain 0 (no noise), got {excerpt(self.size)}")
        if wrong := [draw for draw in self.draw if draw not in DRAWS]:
            raise SearchError(f"draw cannot be {excerpt(wrong[0])}\n  one of: {' '.join(DRAWS)}")

    def choices(self, group: Group) -> tuple[Choice, ...]:
        """The choices of a group, with sizes in pixels of its maps."""
        assert group.side is not None
        values: dict[str, tuple[Value, ...]] = {
            token.name: getattr(self, token.name)
            for token in fields(self)
            if token.name != "residual" or group.pairs
        }
        values["size"] = _pixels(self.size, group.side)
        values["stride"] = _pixels(self.stride, group.side)
        return tuple(Choice(f"{group.name}.{name}", options) for name, options in values.items())


@dataclass(frozen=True)
class ConvSpace(Space):
    """The plans that drop parts of each group of maps; `spaces.conv` makes it.

    Args:
        choices: of all groups, named `<group>.<token>`.
        groups: which sites the choices are about.
    """

    choices: tuple[Choice, ...]
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        check_choices(self.choices)
        check_values("groups", self.groups, Group)
        check_groups(self.groups, self.choices, ConvValues)

    def plan(self, tokens: Tokens) -> Plan:
        """A rule for each group that is not left without noise; more where shortcuts join in."""
        values = self.describe(tokens)
        return Plan(*(rule for group in self.groups for rule in _rules(group, values)))

    def settings(self) -> dict[str, Any]:
        """The groups, as JSON values."""
        return {"groups": [group.to_json() for group in self.groups]}


def conv_from_json(values: dict[str, Any], choices: tuple[Choice, ...]) -> ConvSpace:
    """The space whose choices were read from the same JSON object."""
    return ConvSpace(choices, tuple(group_from_json(group) for group in values["groups"]))


def _pixels(shares: tuple[float, ...], side: int) -> tuple[int, ...]:
    """Shares of a side in whole pixels, each number once; a share above 0 is one pixel at least."""
    return tuple(dict.fromkeys(max(round(share * side), 1) if share else 0 for share in shares))


def _rules(group: Group, values: Mapping[str, Value]) -> list[Rule]:
    head = f"{group.name}."
    tokens: dict[str, Any] = {
        name.removeprefix(head): value for name, value in values.items() if name.startswith(head)
    }
    if tokens["size"] == 0:
        return []
    pattern = _pattern(tokens, group.side)
    if not tokens.get("residual"):
        return [rule(group.sites, pattern)]
    alone = [rule(group.alone, pattern)] if group.alone else []
    return alone + [rule(pair, pattern, mask="one") for pair in group.pairs]


def _pattern(tokens: Mapping[str, Any], side: int | None) -> Pattern:
    size, stride = tokens["size"], tokens["stride"]
    rate, shared = (size / (size + stride)) ** 2, "channel" if tokens["share_c"] else ""
    if tokens["draw"] == "blocks":
        return DropBlock(rate=rate, size=size, shared=shared)
    if tokens["draw"] == "channels":
        return Bernoulli(rate=rate, shared="height width")
    if tokens["draw"] == "pixels":
        return Bernoulli(rate=rate, shared=shared)
    repeat = None if tokens["repeat"] == WHOLE_MAP else tokens["repeat"]
    angles = {name: tokens[name] for name in ("rotate", "shear_x", "shear_y")}
    return Tiles(size=size, stride=stride, repeat=repeat, side=side, shared=shared, **angles)
