"""The audit: what every dropout site drops, counted from tensors and not read from settings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from dropsmith.batches import Arguments, arguments, copy_tensors, tensors_in
from dropsmith.errors import SiteError, did_you_mean, excerpt
from dropsmith.instances import check_model
from dropsmith.noise import (
    ForwardPass,
    Noise,
    OwnDraws,
    RowAxes,
    find_noise,
    installations,
    may_be_skipped,
    name_within,
    own_draws,
    sites,
    skipped_layers,
    state_unchanged,
    taking_turns,
)
from dropsmith.passes.audit_measure import Draw, masks_differ, ran_once
from dropsmith.passes.audit_reasons import (
    FAST_PATH,
    how_drawn,
    reason,
    reason_code,
    reason_never,
    reason_unknown,
    unchanged_rows_note,
)
from dropsmith.passes.audit_watch import watch_draws
from dropsmith.passes.request import ViewRequest
from dropsmith.passes.runner import plan_run
from dropsmith.patterns import Off
from dropsmith.plans import Kind, Rule, Site, display_name


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """The noise that was measured at one site.

    Args:
        site: the place.
        how: `keyed` (drawn by us), `retuned` (torch's draw at a rate of ours), `torch`, `off`, or
            `code` (drawn by the module's own code, which no rule can change).
        on: whether the site changed anything in the audited runs.
        dropped: the measured share of non-zero elements that became zero, None if it never ran.
        elements: how many elements that share was counted over.
        differ: whether the masks of two views differ; None if that cannot be determined.
        whole: how many rows, over both views, had nothing changed.
        why: the reason if the noise is off or the views are equal; otherwise empty.
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
    """All sites with noise, declared or installed, and whether the outputs of two calls differ.

    Args:
        rows: the sites, followed by modules whose own code draws noise.
        outputs_differ: whether two calls of the model return different outputs.
        mode: the model's, `train` or `eval`.
    """

    rows: tuple[AuditRow, ...]
    outputs_differ: bool
    mode: str

    def __getitem__(self, name: str) -> AuditRow:
        """The row of a site by name; `SiteError` where there is none."""
        row = next((row for row in self.rows if row.site.name == name), None)
        if row is not None:
            return row
        names = [row.site.name for row in self.rows]
        raise SiteError(
            f"the audit has no site {excerpt(name)} with noise" + did_you_mean(name, names)
        )

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


@taking_turns
def audit(model: nn.Module, batch: Any, *, rows: RowAxes | None = None) -> Audit:
    """Run a model as it is now, twice on one batch, and report what each site dropped.

    Mode (train or eval) and gradient mode stay as they are, so the report describes a call at the
    same place in a program. Torch's generator, buffers and the model's step are restored.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.5))
    >>> audit(net.eval(), torch.ones(8, 4))["1"].why
    'eval mode'

    Args:
        model: any module, with or without a plan.
        batch: its input: a tensor, a tuple of arguments, or a mapping of them by name.
        rows: the axes on which arguments have their rows, by name; found by running if not given.
    """
    check_model(model)
    inputs = arguments(model, batch)
    with state_unchanged(model):
        all_sites = _all_sites(model, batch, rows)
        draws = _two_views(model, inputs, {site.name: site for site in all_sites}, rows)
        differ, running = _two_calls(model, inputs)
        rest = tuple(_code_rows(model, inputs))
    rules, skipping = _rules(model), tuple(skipped_layers(model))
    pairs = [(site, rules.get((site.name, site.kind))) for site in all_sites]
    table = tuple(
        _row(model, site, rule, draws.get((site.name, site.kind), ()), running, skipping)
        for site, rule in pairs
        if site.native or rule is not None
    )
    mode = "train" if model.training else "eval"
    return Audit(rows=(*table, *rest), outputs_differ=differ, mode=mode)


def _all_sites(model: nn.Module, batch: Any, rows: RowAxes | None) -> list[Site]:
    """All sites, with the calls that a rule has replaced, which a run no longer shows."""
    native = sites(model, batch, rows=rows)
    names = {site.name for site in native}
    return native + [site for site, _ in _decisions(model) if site.name not in names]


def _decisions(model: nn.Module) -> Iterator[tuple[Site, Rule]]:
    """The sites that rules decide, also in parts of the model, by their names in the whole."""
    for part, installation in installations(model):
        for assignment in installation.assignments:
            site = assignment.site
            name, owner = (name_within(part, n) for n in (site.name, site.owner))
            yield replace(site, name=name, owner=owner), assignment.rule


def _rules(model: nn.Module) -> dict[tuple[str, Kind], Rule]:
    """The rule that decides at each site; none where it switches off what is off by itself."""
    return {
        (site.name, site.kind): rule
        for site, rule in _decisions(model)
        if site.native or not isinstance(rule.pattern, Off)
    }


Draws = dict[tuple[str, Kind], list[Draw]]


def _two_views(
    model: nn.Module, inputs: Arguments, by_name: Mapping[str, Site], rows: RowAxes | None
) -> Draws:
    """The draws of two views, stacked where they can be.

    As halves of one batch they also show noise that is the same for every row.
    """
    draws: Draws = {}
    noise = find_noise(model) or Noise()
    run = plan_run(model, ViewRequest(rows=rows, report=False), inputs, inputs, noise)
    total = sum(run.sizes or ()) if run.together else None

    def see(name: str, kind: Kind, before: Tensor, after: Tensor) -> None:
        axes, sizes = (by_name[name].axes, by_name[name].sizes) if name in by_name else ((), None)
        # A tensor that does not grow with the rows is drawn once for all views that are stacked.
        stacked = None if kind == "weight" or tuple(before.shape) == sizes else total
        view = None if run.together else noise.current.views[0]
        draws.setdefault((name, kind), []).append(Draw.of(before, after, axes, stacked, view))

    with watch_draws(model, see):
        try:
            args, kwargs = run.begin()
            run.finish(model(*args, **kwargs))
        finally:
            run.close()
    return draws


def _row(
    model: nn.Module,
    site: Site,
    rule: Rule | None,
    draws: Sequence[Draw],
    running: set[str],
    skipping: Sequence[str],
) -> AuditRow:
    valid = sum(draw.valid_count for draw in draws)
    on = any(draw.change_count for draw in draws)
    skippable = may_be_skipped(site.name, skipping)
    on_fast_path = on and site.owner not in running and not skippable
    shared = rule is not None and rule.views == "shared"
    apart = masks_differ(draws, shared=shared) if draws else None
    if not draws:
        why = reason_never(model, site, rule, skippable)
    elif apart is None:
        rows_known = all(draw.patterns for draw in draws)
        why = reason_unknown(ran_once(draws), skippable, rows_known)
    else:
        why = reason(model, site, rule, on, apart, not valid)
    unchanged_rows, rows = (sum(draw.unchanged_rows[i] for draw in draws) for i in (0, 1))
    return AuditRow(
        site=site,
        how=how_drawn(rule),
        on=on and not on_fast_path,
        dropped=sum(draw.drop_count for draw in draws) / max(valid, 1) if draws else None,
        elements=valid,
        differ=apart,
        whole=unchanged_rows,
        why=FAST_PATH if on_fast_path else why or unchanged_rows_note(rule, unchanged_rows, rows),
    )


def _two_calls(model: nn.Module, inputs: Arguments) -> tuple[bool, set[str]]:
    """Call a model twice as a user does; say whether outputs differ, and name the modules that ran.

    A hook on a module keeps torch's encoder layer from its fused fast path, which runs none of
    its parts; a global hook does not.
    """
    names = {module: display_name(name) for name, module in model.named_modules()}
    running: set[str] = set()

    def note(module: nn.Module, args: Any) -> None:
        running.add(names.get(module, ""))

    with register_module_forward_pre_hook(note):
        first, second = [_plain_call(model, inputs) for _ in range(2)]
    # A call may return more tensors than another, as of each layer that was not skipped.
    alike = len(first) == len(second) and all(map(_same, first, second))
    return not alike, running


def _same(a: Tensor, b: Tensor) -> bool:
    """Say whether two tensors are equal, not-a-number to not-a-number too."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _plain_call(model: nn.Module, inputs: Arguments) -> list[Tensor]:
    noise = find_noise(model)
    if noise is not None:
        noise.begin(model.training)
    # The pass is begun here, so that a consistent model makes one view and no term.
    with nullcontext() if noise is None else noise.passing(ForwardPass()):
        args, kwargs = copy_tensors(inputs)
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
    site = Site(name=display_name(name), kind="code", owner=display_name(name), type=owner)
    return AuditRow(
        site=site, how="code", on=on, dropped=None, elements=0, differ=None, whole=0, why=why
    )


def _cells(row: AuditRow) -> tuple[str, ...]:
    drop_share = "–" if row.dropped is None else f"{row.dropped:.3f}"
    views = {True: "differ", False: "same", None: "?"}[row.differ] if row.on else "–"
    on = "yes" if row.on else "–" if row.dropped is None else "NO"
    return row.site.name, row.how, on, drop_share, views, row.why
