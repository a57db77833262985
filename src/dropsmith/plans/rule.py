"""Rules: a pattern, and the sites at which it drops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dropsmith.axes import NAMES, UNKNOWN
from dropsmith.errors import AxisError, PlanError, did_you_mean, excerpt
from dropsmith.instances import describe
from dropsmith.patterns import Off, Pattern, TorchDropout, check_pattern, from_json
from dropsmith.plans.selector import Selector, selector_from_json
from dropsmith.plans.site import Site

Sharing = Literal["fresh", "shared"]


Masks = Literal["own", "one"]


Calls = Literal["each", "one"]


@dataclass(frozen=True)
class Rule:
    """A pattern and the sites at which it drops.

    Args:
        selector: selects the sites.
        pattern: the noise at these sites.
        views: whether each view draws its own mask, or all views of a batch share one.
        axes: the names of the tensor's dimensions, if they cannot be inferred.
        mask: whether each site draws its own mask, or all sites of the rule share one.
        calls: whether each call of a site within a pass draws its own mask, or all share one.
    """

    selector: Selector
    pattern: Pattern
    views: Sharing = "fresh"
    axes: str | None = None
    mask: Masks = "own"
    calls: Calls = "each"

    def __post_init__(self) -> None:
        check_pattern(self.pattern, PlanError, "a rule takes a pattern")
        if self.views not in ("fresh", "shared"):
            raise PlanError(f"views is 'fresh' or 'shared', got {excerpt(self.views)}")
        if not isinstance(self.axes, str | None):
            raise PlanError(f"axes names dimensions in one string, got {excerpt(self.axes)}")
        for word in (self.axes or "").split():
            if word not in (*NAMES, UNKNOWN):
                raise AxisError(f"no axis is called {excerpt(word)}" + did_you_mean(word, NAMES))
        self._check_mask()

    def _check_mask(self) -> None:
        if self.mask not in ("own", "one"):
            raise PlanError(f"mask is 'own' or 'one', got {excerpt(self.mask)}")
        if self.calls not in ("each", "one"):
            raise PlanError(f"calls is 'each' or 'one', got {excerpt(self.calls)}")
        if (self.mask, self.calls) == ("own", "each"):
            return
        if isinstance(self.pattern, TorchDropout):
            raise PlanError(
                f"torch's own noise is drawn by each call: {self.pattern!r} cannot be one mask\n"
                f"  draw it here instead: Bernoulli(rate={self.pattern.rate})"
            )
        if self.mask == "one" and self.pattern.at_depth(0, 2) != self.pattern.at_depth(1, 2):
            raise PlanError(
                f"one mask has one rate, and {self.pattern!r} has another at each depth\n"
                "  leave mask= out, or write a rule for each depth"
            )

    def fits(self, site: Site) -> bool:
        """Say whether the rule selects this site and its pattern can be used there."""
        return self.selector.matches(site) and self.pattern_fits(site)

    def pattern_fits(self, site: Site) -> bool:
        """Say whether the pattern can be used at a site, whether or not the rule selects it."""
        if isinstance(self.pattern, TorchDropout):
            return site.native
        if isinstance(self.pattern, Off):
            return True
        if self.pattern.goes_on == "activations":
            return site.kind not in ("weight", "words")
        return {"weights": "weight", "words": "words"}[self.pattern.goes_on] == site.kind

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `rule_from_json` makes an equal rule."""
        values: dict[str, Any] = {"sites": self.selector.to_json()} | self.pattern.to_json()
        if self.views != "fresh":
            values["views"] = self.views
        if self.mask != "own":
            values["mask"] = self.mask
        if self.calls != "each":
            values["calls"] = self.calls
        return values | ({"axes": self.axes} if self.axes else {})

    def __repr__(self) -> str:
        simple = self.selector == Selector(name=self.selector.name)
        parts = [repr(self.selector.name) if simple else repr(self.selector), repr(self.pattern)]
        parts += [f"views={self.views!r}"] if self.views != "fresh" else []
        parts += [f"axes={self.axes!r}"] if self.axes else []
        parts += [f"mask={self.mask!r}"] if self.mask != "own" else []
        parts += [f"calls={self.calls!r}"] if self.calls != "each" else []
        return f"rule({', '.join(parts)})"


def rule(
    selector: str | Selector,
    pattern: Pattern,
    *,
    views: Sharing = "fresh",
    axes: str | None = None,
    mask: Masks = "own",
    calls: Calls = "each",
) -> Rule:
    """Make a `Rule`: sites by name, glob or `select(...)`, and the pattern that drops there.

    >>> from dropsmith.patterns import Bernoulli
    >>> rule("encoder.*.output", Bernoulli(rate=0.1), views="shared")
    rule('encoder.*.output', Bernoulli(rate=0.1), views='shared')

    With `mask="one"` all sites of the rule have the same mask in a pass, for example both sides of
    a residual sum. A site that runs several times draws a mask each time. Sites whose masks differ
    in size raise a `PlanError` when they run.

    With `calls="one"` a site that runs several times in a pass has one mask for all calls: the
    steps of a cell (Gal & Ghahramani 2016), or the uses of a shared layer. A pass is one forward of
    the root module. Weights always have one mask for a pass.
    """
    selection = Selector(name=selector) if isinstance(selector, str) else selector
    if not isinstance(selection, Selector):
        raise PlanError(
            f"a rule selects sites by name or by select(...), but {describe(selector)} was given\n"
            '  write rule("encoder.*.output", Bernoulli(rate=0.1)), for example'
        )
    return Rule(selection, pattern, views, axes, mask, calls)


def rule_from_json(values: Any, patterns: Sequence[type[Pattern]] = ()) -> Rule:
    """The rule in a JSON object; `patterns` are classes of yours that it may name."""
    if not isinstance(values, dict) or not {"sites", "pattern"} <= set(values):
        raise PlanError(f"a rule is an object with 'sites' and 'pattern', got {excerpt(values)}")
    rest = dict(values)
    selector = selector_from_json(rest.pop("sites"))
    views, axes = rest.pop("views", "fresh"), rest.pop("axes", None)
    mask, calls = rest.pop("mask", "own"), rest.pop("calls", "each")
    return Rule(selector, from_json(rest, patterns), views, axes, mask, calls)
