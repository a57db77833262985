"""Is the noise on? Counted from tensors, site by site, never read from settings."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.patterns import Native, Off
from dropsmith.sites import Pass, Plan, Site, find_noise, plan_of, sites
from dropsmith.sites._site import owner_module
from dropsmith.sites.batch import call, rows_of
from dropsmith.sites.find import unchanged
from dropsmith.sites.rule import Rule
from dropsmith.views.passes import choose, looped, stacked
from dropsmith.views.watch import watched

FEW = 16
"""Below this many elements two independent masks agree by chance too often to tell."""


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """What was seen at one site.

    Args:
        site: the place.
        how: `keyed` (drawn by us), `retuned` (torch's draw at a rate of ours), `torch` or `off`.
        on: whether anything was changed there in a run like the ones being audited.
        dropped: the measured share of non-zero elements that became zero, None if it never ran.
        elements: how many elements that share was counted over.
        differ: whether two views of the batch were dropped differently; None if it cannot be told.
        why: why it is off or the views agree, or nothing.
    """

    site: Site
    how: str
    on: bool
    dropped: float | None
    elements: int
    differ: bool | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All sites with noise, declared or installed, and whether the model's outputs vary."""

    rows: tuple[AuditRow, ...]
    outputs_differ: bool
    mode: str

    def __getitem__(self, name: str) -> AuditRow:
        """The row of a site by name."""
        return next(row for row in self.rows if row.site.name == name)

    def __str__(self) -> str:
        head = ("site", "how", "on", "dropped", "views", "why")
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
        verdict = "differ" if self.outputs_differ else "are identical"
        return "\n".join(
            [line.rstrip() for line in text]
            + [f"two passes over this batch in {self.mode} mode {verdict}"]
        )


def audit(model: nn.Module, batch: Any) -> Audit:
    """Run a model as it is now, twice over one batch, and report what noise was on.

    Mode (train or eval) and gradient mode are taken as they are when this is called, so that
    what is reported is what a call in the same place would have. Torch's generator, buffers and
    the model's step are put back.

    >>> net = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5))
    >>> audit(net.eval(), torch.ones(8, 4))["1"].why
    'eval mode'

    Args:
        model: any module, with or without a plan.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.
    """
    with unchanged(model):
        known = {site.name: site for site in sites(model, batch)}
        seen = _two_views(model, batch)
        differ = _outputs_differ(model, batch)
    mode = "train" if model.training else "eval"
    plan = plan_of(model) or Plan()
    rules = {name: _rule_of(plan, site) for name, site in known.items()}
    places = [s for name, s in known.items() if s.native or rules[name] is not None]
    rows = tuple(_row(model, s, rules[s.name], seen.get(s.name), differ) for s in places)
    return Audit(rows=rows, outputs_differ=differ, mode=mode)


def _two_views(model: nn.Module, batch: Any) -> dict[str, list["_Draw"]]:
    draws: dict[str, list[_Draw]] = {}
    noise = find_noise(model)
    how = choose(model, 2, (), 1.0)
    rows = rows_of(batch) * (2 if how == "stacked" else 1)

    def see(site: str, before: Tensor, after: Tensor) -> None:
        draws.setdefault(site, []).append(_Draw.of(before, after, rows))

    step = noise.step if noise is not None else 0
    fired = dict(noise.fired) if noise is not None else {}
    with watched(model, see):
        (stacked if how == "stacked" else looped)(model, batch, 2, noise)
    if noise is not None:
        noise.step, noise.fired = step, fired
    return draws


@dataclass(frozen=True)
class _Draw:
    """One draw, kept as counts and one pattern for each view it holds."""

    valid: int
    dropped: int
    changed: int
    patterns: tuple[Tensor, ...]
    halves: bool

    @classmethod
    def of(cls, before: Tensor, after: Tensor, rows: int) -> "_Draw":
        before, after = before.detach(), after.detach()
        # What was zero already says nothing; nor do the places a mask had closed.
        valid = (before != 0) & torch.isfinite(before)
        gone = valid & (after == 0)
        ratio = torch.where(valid, after / torch.where(valid, before, 1), 0).float()
        changed = valid & ((ratio - 1).abs() > 1e-3)
        dim = next((d for d in range(before.ndim) if before.shape[d] == rows), None)
        if dim is None and before.ndim == 3 and before.shape[0] % rows == 0:
            dim = 0  # attention with its heads folded into the batch
        halves = dim is not None and rows % 2 == 0
        parts = ratio.chunk(2, dim) if halves and dim is not None else (ratio,)
        counts = int(valid.sum()), int(gone.sum()), int(changed.sum())
        return cls(*counts, tuple((part * 64).round() for part in parts), halves)


def _row(
    model: nn.Module, site: Site, rule: Rule | None, draws: list[_Draw] | None, differ: bool
) -> AuditRow:
    how = _how(site, rule)
    if not draws:
        why = _why_never(model, site, rule)
        return AuditRow(
            site=site, how=how, on=False, dropped=None, elements=0, differ=None, why=why
        )
    valid = sum(draw.valid for draw in draws)
    share = sum(draw.dropped for draw in draws) / max(valid, 1)
    on = any(draw.changed for draw in draws)
    apart = _apart(draws, on, valid)
    why = _why(model, site, rule, on, apart, differ)
    return AuditRow(
        site=site, how=how, on=on and differ, dropped=share, elements=valid, differ=apart, why=why
    )


def _apart(draws: list[_Draw], on: bool, valid: int) -> bool | None:
    if on and valid < FEW:
        return None
    pairs = [draw.patterns for draw in draws if len(draw.patterns) == 2]
    if not pairs:
        # One draw for each looped view: the first half of the calls against the second.
        first, second = draws[: len(draws) // 2], draws[len(draws) // 2 :]
        pairs = [(a.patterns[0], b.patterns[0]) for a, b in zip(first, second, strict=False)]
    return any(not torch.equal(a, b) for a, b in pairs)


def _why(
    model: nn.Module, site: Site, rule: Rule | None, on: bool, apart: bool | None, differ: bool
) -> str:
    module = owner_module(model, site.owner)
    if not on and rule is not None and isinstance(rule.pattern, Off):
        return "silenced by the plan"
    if not on and not module.training:
        return "eval mode"
    if not on and site.rate:
        return f"declares rate {site.rate:g} but drops nothing"
    if not on:
        return "rate 0"
    if not differ:
        return "a call like this skips it: fused fast path"
    if apart is None:
        return "too few elements to tell the views apart"
    if not apart and rule is not None and rule.views == "shared":
        return "shared by the plan"
    return "" if apart else "one mask for the whole batch"


def _why_never(model: nn.Module, site: Site, rule: Rule | None) -> str:
    if rule is not None and isinstance(rule.pattern, Off):
        return "silenced by the plan"
    if not owner_module(model, site.owner).training:
        return "eval mode"
    return "never called: what owns it may read its rate"


def _how(site: Site, rule: Rule | None) -> str:
    if rule is None:
        return "torch"
    if isinstance(rule.pattern, Off):
        return "off"
    return "retuned" if isinstance(rule.pattern, Native) else "keyed"


def _rule_of(plan: Plan, site: Site) -> Rule | None:
    fitting = [one for one in plan.rules if one.fits(site)]
    if fitting and isinstance(fitting[-1].pattern, Off) and not site.native:
        return None
    return fitting[-1] if fitting else None


def _outputs_differ(model: nn.Module, batch: Any) -> bool:
    """Whether two calls as a user makes them differ, with nothing of the audit in the way."""
    noise = find_noise(model)
    outputs = []
    for view in range(2):
        if noise is None:
            outputs.append(call(model, batch))
            continue
        with noise.passing(Pass(views=(view,))):
            outputs.append(call(model, batch))
    first, second = (
        [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
        for output in outputs
    )
    return any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def _cells(row: AuditRow) -> tuple[str, ...]:
    dropped = "–" if row.dropped is None else f"{row.dropped:.3f}"
    views = {True: "differ", False: "same", None: "?"}[row.differ] if row.on else "–"
    on = "yes" if row.on else "–" if row.dropped is None else "NO"
    return row.site.name, row.how, on, dropped, views, row.why
