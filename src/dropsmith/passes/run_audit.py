"""Is the noise on? Counted from tensors, site by site, never read from settings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from dropsmith.batches import Arguments, arguments, copied, tensors_in
from dropsmith.errors import SiteError, did_you_mean
from dropsmith.noise import (
    ForwardPass,
    Noise,
    OwnDraws,
    RowAxes,
    find_noise,
    installations,
    name_within,
    own_draws,
    sites,
    state_unchanged,
)
from dropsmith.passes.audit_measure import FEW, Draw, masks_differ
from dropsmith.passes.audit_reasons import (
    SKIPPED,
    UNKNOWN_ROWS,
    how_drawn,
    left_whole,
    reason,
    reason_code,
    reason_never,
)
from dropsmith.passes.audit_watch import watched
from dropsmith.passes.request import ViewRequest
from dropsmith.passes.runner import plan_run
from dropsmith.patterns import Off
from dropsmith.plans import Kind, Rule, Site, shown


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """What was seen at one site.

    Args:
        site: the place.
        how: `keyed` (drawn by us), `retuned` (torch's draw at a rate of ours), `torch`, `off`, or
            `code` (drawn by the module's own code, which no rule reaches).
        on: whether anything was changed there in a run like the ones being audited.
        dropped: the measured share of non-zero elements that became zero, None if it never ran.
        elements: how many elements that share was counted over.
        differ: whether two views of the batch were dropped differently; None if it cannot be told.
        whole: of how many rows, over both views, nothing was changed.
        why: why it is off or the views agree, or nothing.
    """

    site: Site
    how: str
    on: bool
    dropped: float | None
    elements: int
    differ: bool | None
    whole: int
    why: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All sites with noise, declared or installed, and whether the model's outputs vary.

    Args:
        rows: the sites, and last the modules that draw by their own code.
        outputs_differ: whether two calls of the model return something else.
        mode: the model's, `train` or `eval`.
    """

    rows: tuple[AuditRow, ...]
    outputs_differ: bool
    mode: str

    def __getitem__(self, name: str) -> AuditRow:
        """The row of a site by name; `SiteError` where there is none."""
        found = next((row for row in self.rows if row.site.name == name), None)
        if found is not None:
            return found
        names = [row.site.name for row in self.rows]
        raise SiteError(f"the audit has no site {name!r} with noise" + did_you_mean(name, names))

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


def audit(model: nn.Module, batch: Any, *, rows: RowAxes | None = None) -> Audit:
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
        rows: the axes on which arguments have their rows, by name, where somebody says them.
    """
    inputs = arguments(model, batch)
    with state_unchanged(model):
        known = _all_sites(model, batch, rows)
        draws = _two_views(model, inputs, {site.name: site for site in known}, rows)
        differ, called = _as_called(model, inputs)
        rest = tuple(_code_rows(model, inputs))
    decided = _rules(model)
    rules = [(site, decided.get((site.name, site.kind))) for site in known]
    table = tuple(
        _row(model, site, rule, draws.get((site.name, site.kind), ()), called)
        for site, rule in rules
        if site.native or rule is not None
    )
    mode = "train" if model.training else "eval"
    return Audit(rows=(*table, *rest), outputs_differ=differ, mode=mode)


def _all_sites(model: nn.Module, batch: Any, rows: RowAxes | None) -> list[Site]:
    """Also the calls that a rule has replaced, which a run no longer shows as torch's."""
    found = sites(model, batch, rows=rows)
    names = {site.name for site in found}
    replaced = [site for site, _ in _decisions(model)]
    return found + [site for site in replaced if site.name not in names]


def _decisions(model: nn.Module) -> Iterator[tuple[Site, Rule]]:
    """The sites that rules decide, also in parts of the model, by their names in the whole."""
    for part, installation in installations(model):
        for one in installation.assignments:
            name, owner = (name_within(part, n) for n in (one.site.name, one.site.owner))
            yield replace(one.site, name=name, owner=owner), one.rule


def _rules(model: nn.Module) -> dict[tuple[str, Kind], Rule]:
    """The rule that decides at each site; none where it switches off what is off by itself."""
    return {
        (site.name, site.kind): rule
        for site, rule in _decisions(model)
        if site.native or not isinstance(rule.pattern, Off)
    }


Draws = dict[tuple[str, Kind], list[Draw]]


def _two_views(
    model: nn.Module, inputs: Arguments, known: Mapping[str, Site], rows: RowAxes | None
) -> Draws:
    """What two views drew: halves of one batch also show noise that is the same for every row."""
    draws: Draws = {}
    noise = find_noise(model) or Noise()
    run = plan_run(model, ViewRequest(rows=rows, report=False), inputs, inputs, noise)
    total = sum(run.sizes or ()) if run.together else None

    def see(name: str, kind: Kind, before: Tensor, after: Tensor) -> None:
        axes, sizes = (known[name].axes, known[name].sizes) if name in known else ((), None)
        # What does not grow with the rows is drawn once for all views that are stacked.
        halved = None if kind == "weight" or tuple(before.shape) == sizes else total
        draws.setdefault((name, kind), []).append(Draw.of(before, after, axes, halved))

    with watched(model, see):
        try:
            args, kwargs = run.begin()
            run.finish(model(*args, **kwargs))
        finally:
            run.close()
    return draws


def _row(
    model: nn.Module, site: Site, rule: Rule | None, draws: Sequence[Draw], called: set[str]
) -> AuditRow:
    valid = sum(draw.valid for draw in draws)
    on = any(draw.changed for draw in draws)
    skipped = on and site.owner not in called
    apart = masks_differ(draws) if draws else None
    why = reason(model, site, rule, on, apart) if draws else reason_never(model, site, rule)
    if draws and apart is None and valid >= FEW:
        why = UNKNOWN_ROWS
    whole, rows = (sum(draw.whole[i] for draw in draws) for i in (0, 1))
    return AuditRow(
        site=site,
        how=how_drawn(rule),
        on=on and not skipped,
        dropped=sum(draw.dropped for draw in draws) / max(valid, 1) if draws else None,
        elements=valid,
        differ=apart,
        whole=whole,
        why=SKIPPED if skipped else why or left_whole(rule, whole, rows),
    )


def _as_called(model: nn.Module, inputs: Arguments) -> tuple[bool, set[str]]:
    """Whether two calls as a user makes them differ, and which modules such a call runs.

    A hook on a module keeps torch's encoder layer from its fused fast path, which runs none of
    its parts; a global hook does not.
    """
    names = {module: shown(name) for name, module in model.named_modules()}
    called: set[str] = set()

    def note(module: nn.Module, args: Any) -> None:
        called.add(names.get(module, ""))

    with register_module_forward_pre_hook(note):
        first, second = [_plain_call(model, inputs) for _ in range(2)]
    pairs = zip(first, second, strict=True)
    return any(not torch.equal(a, b) for a, b in pairs), called


def _plain_call(model: nn.Module, inputs: Arguments) -> list[Tensor]:
    noise = find_noise(model)
    if noise is not None:
        noise.begin(model.training)
    # The pass is begun here, so that a consistent model makes one view and no term.
    with nullcontext() if noise is None else noise.passing(ForwardPass()):
        args, kwargs = copied(inputs)
        return tensors_in(model(*args, **kwargs))


def _code_rows(model: nn.Module, inputs: Arguments) -> Iterator[AuditRow]:
    """Noise that modules draw by their own code, as the model is and, where off, as it trains."""
    now = _own_draws(model, inputs)
    training = now
    if not model.training:
        with state_unchanged(model):
            training = _own_draws(model.train(), inputs)
    for name in dict.fromkeys((*now.modules, *training.modules)):
        on = name in now.modules
        draws = now if on else training
        why = reason_code(draws.generators.get(name, ()), draws.layer_drop.get(name))
        yield _code_row(model, name, on, why if on else "eval mode")


def _own_draws(model: nn.Module, inputs: Arguments) -> OwnDraws:
    return own_draws(model, lambda: _plain_call(model, inputs))


def _code_row(model: nn.Module, name: str, on: bool, why: str) -> AuditRow:
    owner = type(model.get_submodule(name)).__name__
    site = Site(name=shown(name), kind="code", owner=shown(name), type=owner)
    return AuditRow(
        site=site, how="code", on=on, dropped=None, elements=0, differ=None, whole=0, why=why
    )


def _cells(row: AuditRow) -> tuple[str, ...]:
    dropped = "–" if row.dropped is None else f"{row.dropped:.3f}"
    views = {True: "differ", False: "same", None: "?"}[row.differ] if row.on else "–"
    on = "yes" if row.on else "–" if row.dropped is None else "NO"
    return row.site.name, row.how, on, dropped, views, row.why
