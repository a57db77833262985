"""Selectors of sites: by name or glob, type, kind, depth or predicate."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Len
from typing_extensions import TypedDict

from dropsmith.errors import PlanError, excerpt
from dropsmith.files import Count, check
from dropsmith.numbers import is_count
from dropsmith.plans.glob import glob_matches
from dropsmith.plans.site import ROOT, Site


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Conditions on a site, all of which must hold.

    >>> select("encoder.layer.*.output", depth=(0, 6))
    select('encoder.layer.*.output', depth=(0, 6))

    Args:
        name: a site's name; `*` stands for anything within one part of it, `**` for any number
            of parts: `a.**.b` means `a.b` too, and `a.**` all that is below `a`. Several names,
            separated by spaces, mean the sites of each.
            An input is only meant where the name ends in `.input`, and what the whole model
            returns only by its own name, `root`. A place that a module declares inside itself is
            only meant where the last part of the name is more than a wildcard.
        type: class name of the module.
        kind: kind of the site.
        depth: the layers from the first to before the second, counted by the first number in
            the site's name.
        where: any function of a `Site`; a plan that holds one has no JSON.

    Raises:
        PlanError: a part is of another type.
    """

    name: str = "**"
    type: str | None = None
    kind: str | None = None
    depth: tuple[int, int] | None = None
    where: Callable[[Site], bool] | None = None

    def __post_init__(self) -> None:
        for field in ("name", "type", "kind"):
            value = getattr(self, field)
            if not isinstance(value, str) and (field == "name" or value is not None):
                raise PlanError(f"{field} of a selector is a text, got {excerpt(value)}")
        pair = self.depth is None or (isinstance(self.depth, tuple) and len(self.depth) == 2)
        if not pair or not all(is_count(number, 0) for number in self.depth or ()):
            raise PlanError(
                f"depth of a selector is a pair of numbers of layers, got {excerpt(self.depth)}\n"
                "  depth=(0, 6) means the first six"
            )
        if self.where is not None and not callable(self.where):
            raise PlanError(f"where of a selector is a function, got {excerpt(self.where)}")

    def matches(self, site: Site) -> bool:
        """Say whether the selector means the site."""
        return (
            any(self._means(name, site) for name in self.name.split())
            and self.type in (None, site.type)
            and self.kind in (None, site.kind)
            and _within(self.depth, site.name)
            and (self.where is None or self.where(site))
        )

    def _means(self, glob: str, site: Site) -> bool:
        if site.kind == "input" and not glob.endswith(".input"):
            return False
        if site.kind == "state" != self.kind and glob.rpartition(".")[2] in ("*", "**"):
            return False
        if site.kind == "output" and site.name == ROOT != glob:
            return False
        return any(glob_matches(glob, name) for name in (site.name, site.group) if name)

    def to_json(self) -> str | dict[str, Any]:
        """The name alone where that is all, else an object of the parts given."""
        if self.where is not None:
            raise PlanError(
                f"a rule that selects by a function cannot be written down: {self!r}\n"
                "  select by name, type, kind or depth instead"
            )
        parts = {"type": self.type, "kind": self.kind, "depth": self.depth}
        options = {key: value for key, value in parts.items() if value is not None}
        if not options:
            return self.name
        if self.depth is not None:
            options["depth"] = list(self.depth)
        return {"name": self.name} | options

    def __repr__(self) -> str:
        options = {"type": self.type, "kind": self.kind, "depth": self.depth, "where": self.where}
        parts = [repr(self.name)] + [f"{k}={v!r}" for k, v in options.items() if v is not None]
        return f"select({', '.join(parts)})"


def select(
    name: str = "**",
    *,
    type: str | None = None,
    kind: str | None = None,
    depth: tuple[int, int] | None = None,
    where: Callable[[Site], bool] | None = None,
) -> Selector:
    """Make a `Selector` of sites by name, type, kind, depth or condition."""
    return Selector(name=name, type=type, kind=kind, depth=depth, where=where)


class StoredSelector(TypedDict, total=False):
    """A selector in JSON that is more than a name."""

    name: str
    type: str | None
    kind: str | None
    depth: Annotated[list[Count], Len(2, 2)] | None


def selector_from_json(value: Any) -> Selector:
    """The selector a JSON value stands for; `PlanError` for anything else."""
    if isinstance(value, str):
        return Selector(name=value)
    if not isinstance(value, dict):
        raise PlanError(f"not a selector: {excerpt(value)}\n  give a name, or an object of parts")
    check(value, StoredSelector, PlanError)
    depth = value.get("depth")
    arguments: dict[str, Any] = value | {"depth": tuple(depth) if depth is not None else None}
    return Selector(**arguments)


def number_in(name: str) -> int | None:
    """The first number among the parts of a name, by which its depth is told.

    >>> number_in("encoder.layer.3.output"), number_in("head")
    (3, None)
    """
    match = re.search(r"(?:^|\.)(\d+)(?:\.|$)", name)
    return None if match is None else int(match.group(1))


def _within(depth: tuple[int, int] | None, name: str) -> bool:
    if depth is None:
        return True
    number = number_in(name)
    return number is not None and depth[0] <= number < depth[1]
