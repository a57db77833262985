"""A group: the sites that one set of choices decides for, as a rule names them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

from dropsmith.errors import SearchError, excerpt
from dropsmith.files import check
from dropsmith.pattern_search.spaces.schemas import StoredGroup
from dropsmith.pattern_search.spaces.space import Choice
from dropsmith.plans import Selector, Site

Tied = Literal["resolution", "none"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Sites that are decided about together.

    Args:
        name: what the names of its choices begin with.
        sites: all of its sites, as a selector's name.
        alone: those of them that have no shortcut beside them; empty where there are none.
        pairs: one site and the shortcut beside it, for each that has one, as a selector's name.
        side: the smaller side of its maps in pixels; None for sequences.
    """

    name: str
    sites: str
    alone: str = ""
    pairs: tuple[str, ...] = ()
    side: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `group_from_json` makes an equal group."""
        return asdict(self) | {"pairs": list(self.pairs)}


def group_from_json(values: dict[str, Any]) -> Group:
    """The group in a JSON object."""
    check(values, StoredGroup, SearchError)
    fields: dict[str, Any] = values | {"pairs": tuple(values["pairs"])}
    return Group(**fields)


def check_groups(groups: Sequence[Group], choices: Sequence[Choice], values: type) -> None:
    """Raise `SearchError` unless each group has the choices of a schema, of values it allows."""
    for group in groups:
        head = f"{group.name}."
        tokens = {
            choice.name.removeprefix(head): list(choice.values)
            for choice in choices
            if choice.name.startswith(head)
        }
        of_group = {name: token for name, token in tokens.items() if "." not in name}
        try:
            check(of_group, values, SearchError)
        except SearchError as error:
            raise SearchError(f"the choices of the group {excerpt(group.name)}: {error}") from None


def check_tied(tied: str) -> None:
    """Raise `SearchError` unless layers can be tied like this."""
    if tied not in ("resolution", "none"):
        raise SearchError(f"tied is 'resolution' or 'none', got {excerpt(tied)}")


def compact(names: Sequence[str], among: Iterable[Site]) -> str:
    """The name of a selector that means these sites and no other, with as few parts as it can.

    >>> def at(name): return Site(name=name, kind="output", owner=name, type="Conv2d")
    >>> compact(["a.0.conv", "a.1.conv"], [at(f"{s}.{i}.conv") for s in "ab" for i in range(2)])
    'a.*.conv'
    """
    targets, sites = set(names), list(among)
    parts: dict[str, None] = {}
    for name in names:
        if not any(
            Selector(name=part).matches(site)
            for part in parts
            for site in sites
            if site.name == name
        ):
            parts[_widest(name, targets, sites)] = None
    return " ".join(parts)


def _widest(name: str, targets: set[str], sites: Sequence[Site]) -> str:
    """The glob with most wildcards for numbers that still means only the targets."""
    for glob in _globs(name):
        if {site.name for site in sites if Selector(name=glob).matches(site)} <= targets:
            return glob
    return name


def _globs(name: str) -> Iterator[str]:
    parts = [(("*", part) if part.isdecimal() else (part,)) for part in name.split(".")]
    yield from sorted((".".join(words) for words in product(*parts)), key=lambda g: -g.count("*"))
