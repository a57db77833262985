"""Noise on the units of fully connected layers, the space of networks over rows of numbers.

AutoDropout (Pham & Le 2021) has patterns along height and width, or along time. Units of a fully
connected layer have no order, so what is left to choose is which layers have noise, of which kind,
and how much. These tables are ours.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from dropsmith.errors import SearchError, excerpt
from dropsmith.noise import owner_module, sites
from dropsmith.numbers import check_number
from dropsmith.pattern_search.spaces.listed_space import ListedSpace, Part, part
from dropsmith.pattern_search.spaces.space import Choice, check_token_values
from dropsmith.patterns import Bernoulli, DropConnect, Gaussian
from dropsmith.plans import Selector, Site, rule, select

_NONE = "none"
DRAWS = (_NONE, "units", "gaussian", "weights")


@dataclass(frozen=True, kw_only=True)
class UnitTokens:
    """The values that each token of a layer may take.

    Args:
        draw: `none`: no noise here, which must be among them; `units`: each of the layer's inputs
            by itself (dropout); `gaussian`: its inputs times a normal number; `weights`: each of
            its weights (DropConnect).
        rate: the chance of dropping, or that of the dropout with the same variance.
    """

    draw: tuple[str, ...] = DRAWS
    rate: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.5)

    def __post_init__(self) -> None:
        check_token_values(self)
        if _NONE not in self.draw:
            raise SearchError(f"draw must have {_NONE!r} in it; got {excerpt(self.draw)}")
        if wrong := [draw for draw in self.draw if draw not in DRAWS]:
            raise SearchError(f"draw cannot be {excerpt(wrong[0])}\n  one of: {' '.join(DRAWS)}")
        for rate in self.rate:
            check_number("a rate", rate, SearchError, most=1)


def units(
    model: nn.Module,
    batch: Any,
    *,
    tokens: UnitTokens | None = None,
    where: str | Selector = "**.input",
) -> ListedSpace:
    """The space of plans that drop inputs or weights of a model's fully connected layers.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> space = units(net, torch.zeros(3, 4))
    >>> [choice.name for choice in space.choices]
    ['0.draw', '0.rate', '2.draw', '2.rate']
    >>> chosen = {"0.draw": "none", "0.rate": 0.1, "2.draw": "units", "2.rate": 0.3}
    >>> space.plan(space.tokens(chosen)).rules
    (rule('2.input', Bernoulli(rate=0.3)),)

    Args:
        model: any model; it is run to find its layers, and left as it was.
        batch: an input of it.
        tokens: the values to choose from; `UnitTokens()` where it is None.
        where: the inputs of layers that may be chosen at all, such as `"head.input"`.

    Raises:
        SearchError: no layer of the model reads rows of numbers.
    """
    table, selector = tokens or UnitTokens(), select(where) if isinstance(where, str) else where
    names = [
        site.owner
        for site in sites(model, batch)
        if _is_input_of_linear(model, site) and selector.matches(site)
    ]
    if not names:
        raise SearchError(
            f"no fully connected layer of {type(model).__name__} reads rows of numbers\n"
            "  the inputs of such a layer have the axes batch and unit"
        )
    choices = [
        Choice(f"{name}.{token}", values)
        for name in names
        for token, values in (("draw", table.draw), ("rate", table.rate))
    ]
    parts = [one for name in names for one in _parts(name, table)]
    return ListedSpace(tuple(choices), tuple(parts))


def _is_input_of_linear(model: nn.Module, site: Site) -> bool:
    is_row = site.kind == "input" and site.axes == ("batch", "unit")
    return is_row and isinstance(owner_module(model, site.owner), nn.Linear)


def _parts(name: str, table: UnitTokens) -> list[Part]:
    """The rules that the choices of a layer put into a plan."""
    patterns = {
        "units": (f"{name}.input", Bernoulli),
        "gaussian": (f"{name}.input", Gaussian),
        "weights": (f"{name}.weight", DropConnect),
    }
    return [
        part(
            rule(place, pattern(rate=table.rate[0])),
            sets={"rate": f"{name}.rate"},
            when={f"{name}.draw": draw},
        )
        for draw, (place, pattern) in patterns.items()
        if draw in table.draw
    ]
