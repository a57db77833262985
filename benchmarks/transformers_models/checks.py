"""The checks that each model class goes through, and how each of them ends."""

import traceback
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from benchmarks.transformers_models.batches import ROWS, Unsuited
from benchmarks.transformers_models.models import Subject, features, squares
from benchmarks.transformers_models.oracle import labels_are_shifted, term_by_hand, two_passes
from benchmarks.transformers_models.state import Snapshot, same
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import dropsmith as ds
from dropsmith.errors import NoiseError, ObjectiveError
from dropsmith.prediction import native_plan

BUILT = {"hooks", "attributes", "modes", "names"}
"""What a model may change itself at its first forward, where that hangs hooks or swaps layers."""
ALPHA, SAMPLES = 1.0, 4
CALLS = 8
"""Forwards that show what a forward may do: a layer may be skipped, but hardly in all of them."""
SKIPPED = "layer drop skipped its layer in both views"
"""The one reason for which a site that runs in most forwards may be off in an audit."""
RELATIVE, ABSOLUTE = 2e-3, 1e-7
"""How far numbers may be apart by rounding: as a part of them, and where they are about zero."""


class Wrong(Exception):
    """A value is not what it should be."""


class Skipped(Exception):
    """The check says nothing of this model."""


@dataclass(frozen=True)
class Result:
    """How one check of one class ended.

    Args:
        check: its name.
        verdict: `works`, `refuses`, `fails`, `wrong` or `skipped`.
        detail: the first line of the error, or the figure.
        where: the last line of the library and the last of all that a raw error came from.
    """

    check: str
    verdict: str
    detail: str = ""
    where: str = ""


def run_checks(subject: Subject) -> list[dict[str, str]]:
    """All checks of a model class in order, each whatever the others did."""
    return [asdict(_result(name, check, subject)) for name, check in CHECKS.items()]


def _result(name: str, check: Callable[[Subject], str | None], subject: Subject) -> Result:
    torch.manual_seed(1)
    try:
        return Result(name, "works", check(subject) or "")
    except ds.DropsmithError as error:
        return Result(name, "refuses", f"{type(error).__name__}: {_line(error)}", _where(error))
    except Wrong as error:
        return Result(name, "wrong", _line(error))
    except (Skipped, Unsuited) as error:
        return Result(name, "skipped", _line(error))
    except Exception as error:
        return Result(name, "fails", f"{type(error).__name__}: {_line(error)}", _where(error))


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:240]


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/dropsmith/" in frame.filename]
    shown = [f for f in (*ours[-1:], frames[-1]) if f is not None]
    parts = [f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno} {f.name}" for f in shown]
    return " ← ".join(dict.fromkeys(reversed(parts)))


def _unchanged(model: nn.Module, batch: Any, call: Callable[[], Any]) -> Any:
    """What the call returns; `Wrong` if it leaves anything but what its forwards leave."""
    plain, given, before = deepcopy(model), deepcopy(batch), Snapshot.of(model, batch)
    result = call()
    after = Snapshot.of(model, batch)
    changed = set(before.differences(after))
    if changed & BUILT:
        for _ in range(CALLS):
            plain(**deepcopy(given))
        changed -= BUILT - set(Snapshot.of(plain, given).differences(after))
    if changed:
        raise Wrong(f"changed: {', '.join(sorted(changed))}")
    return result


def check_sites(subject: Subject) -> str:
    """`sites` lists, and leaves everything as it was."""
    model, batch = subject.noisy, subject.batch
    found = _unchanged(model, batch, lambda: ds.sites(model, batch))
    return f"{len(found)} sites, {sum(site.native for site in found)} native"


def check_audit(subject: Subject) -> str:
    """`audit` shows every dropout that ran as on, and says that outputs differ where they do."""
    model, batch = subject.noisy, subject.batch
    audit = _unchanged(model, batch, lambda: ds.audit(model, batch))
    rates = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    ran, outputs = _ran(model, batch, list(rates))
    rows = [audit[name] for name in ran if rates[name]]
    off = [row.site.name for row in rows if not row.on and not _skipped(model, row.why)]
    if off:
        raise Wrong(f"{len(off)} of {len(ran)} sites are said to be off, such as {off[0]}")
    # Two calls may skip the same layers and branches by chance.
    possible = {not same(*pair) for pair in pairwise(outputs)}
    if audit.outputs_differ not in possible:
        raise Wrong(f"outputs_differ is {audit.outputs_differ}, of {CALLS} calls it is not")
    return f"{sum(row.on for row in audit.rows)} of {len(audit.rows)} on"


def _skipped(model: nn.Module, why: str) -> bool:
    """Whether layer drop is the reason that is given, and the model has it."""
    attributes = [dict(vars(m)) for m in model.modules()]
    attributes += [
        dict(vars(a["config"])) for a in attributes if hasattr(a.get("config"), "__dict__")
    ]
    rates = [v for a in attributes for k, v in a.items() if k.endswith("layerdrop")]
    return why == SKIPPED and any(rates)


def _ran(model: nn.Module, batch: Any, names: list[str]) -> tuple[list[str], list[Any]]:
    """The modules that were given something to drop, and what the forwards returned."""
    ran: set[str] = set()
    modules = dict(model.named_modules())

    def hook(name: str) -> Any:
        return lambda _, args, output: ran.add(name) if bool(args[0].any()) else None

    handles = [modules[name].register_forward_hook(hook(name)) for name in names]
    outputs = [_tensors(model(**batch)) for _ in range(CALLS)]
    for handle in handles:
        handle.remove()
    return [name for name in names if name in ran], outputs


def _tensors(output: Any) -> list[Tensor]:
    """The tensors that a model returned, but for what it keeps for another call."""
    leaves = pytree.tree_leaves(dict(output) if isinstance(output, dict) else output)
    return [leaf.detach() for leaf in leaves if isinstance(leaf, Tensor)]


def check_plan(subject: Subject) -> str:
    """A plan makes passes differ, leaves evaluation as it is, and leaves nothing when removed."""
    model, batch = subject.copy(), subject.batch
    plan, buffers = _noisy_plan(model, batch), deepcopy(dict(model.named_buffers()))
    with torch.no_grad():
        before = _evaluated(model, batch, buffers)
        state = Snapshot.of(model.train(), batch)  # after a forward, which may hang hooks
        plan.install(model)
        under = _evaluated(model, batch, buffers)
        first, second = (features(model.train()(**batch)) for _ in range(2))
        plan.remove(model)
        after = _evaluated(model, batch, buffers)
    if same(first, second):
        raise Wrong("two passes under the plan are equal")
    for when, output in (("under the plan", under), ("afterwards", after)):
        if not same(before, output):
            raise Wrong(f"eval {when} differs by {float((before - output).abs().max()):.2g}")
    if changed := BUILT & set(state.differences(Snapshot.of(model.train(), batch))):
        raise Wrong(f"changed: {', '.join(changed)}")
    return f"{len(plan.rules)} rules"


def _evaluated(model: nn.Module, batch: Any, buffers: dict[str, Tensor]) -> Tensor:
    """What it returns in eval mode, with the buffers it had at first: BatchNorm's go on."""
    for name, buffer in model.named_buffers():
        if name in buffers:
            buffer.copy_(buffers[name])
    torch.manual_seed(2)
    return features(model.eval()(**batch))


_LAYERS = nn.Linear, nn.Conv1d, nn.Conv2d


def _zeros(module: nn.Module, args: Any, output: Any) -> Tensor | None:
    """Zeros in place of what a module returned; a router that returns several stays as it is."""
    return output * 0 if isinstance(output, Tensor) else None


def _reaches_output(model: nn.Module, batch: Any, name: str) -> bool:
    """Whether the features change by more than a little where a module returns zeros."""
    model = deepcopy(model).train()
    with torch.no_grad():
        torch.manual_seed(2)
        before = features(deepcopy(model)(**deepcopy(batch)))
        model.get_submodule(name).register_forward_hook(_zeros)
        torch.manual_seed(2)
        after = features(model(**deepcopy(batch)))
    if before.shape != after.shape:
        return True
    change = (before - after).nan_to_num(0.0, 0.0, 0.0).abs().max()
    return bool(change > 0.01 * before.nan_to_num(0.0, 0.0, 0.0).abs().max())


def _noisy_plan(model: nn.Module, batch: Any) -> ds.Plan:
    """The model's own dropout at another rate, or noise on a linear layer where it has none."""
    found, modules = ds.sites(model, batch), dict(model.named_modules())
    native = [site.name for site in found if site.native and "unit" in site.axes]
    layers = [site.name for site in found if isinstance(modules.get(site.name), _LAYERS)]
    names = native or [name for name in layers if _reaches_output(model, batch, name)][:1]
    if not names:
        raise Skipped("no site to put noise on")
    return ds.Plan(*(ds.rule(name, ds.Bernoulli(rate=0.3)) for name in names))


def _keyed(subject: Subject) -> tuple[nn.Module, ds.Plan]:
    model = subject.labelled()
    try:
        plan = native_plan(model, subject.batch)
    except NoiseError as error:
        raise Skipped(_line(error)) from error
    if not plan.rules:
        plan = _noisy_plan(model, subject.batch)
    return model, plan


def check_r_drop(subject: Subject) -> str:
    """The term and the loss of a consistent step are those of two passes made by hand."""
    (model, plan), batch = _keyed(subject), subject.batch
    by_hand = subject.labelled()
    plan.install(by_hand)
    given = batch
    if not subject.has_labels:
        batch = dict(batch) | {"labels": torch.zeros(ROWS)}
    with torch.no_grad():
        outputs = two_passes(by_hand, given)
        again = two_passes(by_hand, given)
    if not same(features(outputs[0]), features(again[0])):
        raise Skipped("noise that no rule keys: passes with the same keys differ")
    model, loss = _consistent(model, plan)
    result = model(**batch)
    terms = ds.terms_of(model)
    shift = loss is None and labels_are_shifted(outputs[0], batch.get("labels"))
    hand = term_by_hand(outputs, batch.get("labels") if loss is None else None, shift)
    if hand < 10 * ABSOLUTE:
        raise Skipped(f"a term of {hand:.1g} is too small to be compared")
    _close("term", float(terms["consistency"].value), hand)
    own = [getattr(output, "loss", None) for output in outputs]
    if loss is None and own[0] is not None:
        whole = float(own[0] + own[1]) / 2 + ALPHA / 2 * hand
        _close("loss", float(result.loss.detach()), whole)
    if not result.loss.requires_grad:
        raise Skipped("scores without a gradient")
    result.loss.backward()
    return f"term {hand:.3g}" + (" with a loss that was given" if loss is not None else "")


def _consistent(model: nn.Module, plan: ds.Plan) -> tuple[nn.Module, Any]:
    """With the model's own loss, or one that is given where the library asks for it."""
    objective = ds.RDrop(alpha=ALPHA)
    try:
        return ds.consistent(model, objective, plan=plan), None
    except ObjectiveError as error:
        if "cannot tell the task loss" not in str(error):
            raise
        return ds.consistent(model, objective, plan=plan, loss=squares), squares


def _close(what: str, got: float, wanted: float) -> None:
    if not abs(got - wanted) <= RELATIVE * abs(wanted) + ABSOLUTE:
        raise Wrong(f"{what} is {got:.6g}, by hand {wanted:.6g}")


def check_predict(subject: Subject) -> str:
    """Predictions of stacked and replayed samples are those of one pass for each sample."""
    model, batch = subject.scored(), subject.unlabelled
    call = {"samples": SAMPLES, "keep": True}
    drops = any(site.native and site.rate for site in ds.sites(model, batch))
    plan = None if drops else _noisy_plan(model, batch)
    fast = _unchanged(model, batch, lambda: ds.predict(model, batch, plan=plan, **call))
    slow = ds.predict(model, batch, plan=plan, mode="looped", replay=False, **call)
    if fast.mean.shape != slow.mean.shape:
        raise Wrong(f"shape {tuple(fast.mean.shape)}, slowly {tuple(slow.mean.shape)}")
    far = float(_apart(fast.draws, slow.draws).max())
    spread = float(_apart(slow.draws.amax(0), slow.draws.amin(0)).max())
    if not far <= RELATIVE * spread + 10 * ABSOLUTE:
        raise Wrong(f"draws are {far:.2g} apart, their spread is {spread:.2g}")
    return f"at most {far:.1g} apart of {spread:.1g}"


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """How far numbers are apart; not at all where both are infinite alike, or no numbers."""
    return torch.where((a == b) | ((a != a) & (b != b)), 0, (a - b).abs())


CHECKS: dict[str, Callable[[Subject], str | None]] = {
    "sites": check_sites,
    "audit": check_audit,
    "plan": check_plan,
    "r-drop": check_r_drop,
    "predict": check_predict,
}
