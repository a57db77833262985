"""The choice between views stacked into one forward and views made one after the other."""

import sys
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import nn

from dropsmith.batches import Arguments, Layout
from dropsmith.errors import ViewError
from dropsmith.noise import INSTALLATION, Installation, installation_of, layer_drop_rate, layout_of
from dropsmith.passes.request import ViewRequest

_REPORT_LINES: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


def stacked_layout(
    model: nn.Module, request: ViewRequest, arguments: Arguments, rank: int = 0
) -> Layout | None:
    """The layout by which views are stacked; None where they are made one after the other.

    Raises:
        ViewError: they are to be stacked and cannot be.
    """
    if request.views == 1 or request.mode == "looped":
        return None
    reason = _known_reason(model, request)
    if reason and request.mode == "auto":
        return None
    layout = layout_of(model, arguments, request.rows)
    if request.mode == "stacked":
        if layout.outputs is None or reason == _PARTIAL:
            why = reason if reason == _PARTIAL else layout.dependence
            raise ViewError(f'views cannot be stacked in one batch: {why}\n  use mode="looped"')
        return layout
    if not layout.dependence:
        return layout
    if request.report:
        _report(model, f"views are made one after the other: {layout.dependence}", rank)
    return None


def forked_layout(
    model: nn.Module, request: ViewRequest, arguments: Arguments, rank: int = 0
) -> Layout:
    """The layout by which the views above a shared trunk are told apart.

    Raises:
        ViewError: they cannot be.
    """
    layout = layout_of(model, arguments, request.rows)
    if layout.outputs is None:
        raise ViewError(
            f"views that share a trunk cannot be told apart: {layout.dependence}\n  leave out trunk"
        )
    if request.report and layout.dependence:
        _report(model, f"views that share a trunk are stacked above it: {layout.dependence}", rank)
    return layout


_PARTIAL = "later views see a fraction of the batch, and a plan draws masks for whole views"


_REASONS: WeakKeyDictionary[nn.Module, dict[Any, str]] = WeakKeyDictionary()


def _known_reason(model: nn.Module, request: ViewRequest) -> str:
    """`_once_per_batch`, looked up once for each installation on the root and each mode."""
    reasons = _REASONS.get(model)
    if reasons is None:
        reasons = _REASONS[model] = {}
    installation = model.__dict__.get(INSTALLATION)
    key = (
        None if installation is None else ref(installation),
        model.training,
        request.noise_free,
        request.batch_fraction,
        request.reads is None,
    )
    reason = reasons.get(key)
    if reason is None:
        reason = reasons[key] = _once_per_batch(model, request)
    return reason


def _once_per_batch(model: nn.Module, request: ViewRequest) -> str:
    """The noise that is drawn once for a whole batch, known before anything runs; empty for none.

    A model that drops whole layers does so for a whole batch; but views whose blocks are compared
    must have run the same ones.
    """
    installation = find_installation(model)
    if request.noise_free:
        return "a view without noise"
    if installation is not None and any(
        assignment.rule.views == "fresh" and assignment.pattern.goes_on == "weights"
        for assignment in installation.assignments
    ):
        return "weights are dropped once for a batch"
    if drops_branches(model) or (request.reads is None and drops_layers(model)):
        return "layers or branches are skipped once for a batch"
    return _PARTIAL if request.batch_fraction < 1 and installation is not None else ""


def find_installation(model: nn.Module) -> Installation | None:
    """Return the installation on a model, or on the model inside a wrapper; None without one."""
    return next((i for m in model.modules() if (i := installation_of(m)) is not None), None)


def drops_layers(model: nn.Module) -> bool:
    """Say whether a model skips whole layers in training, as transformers' `layerdrop` does."""
    return any((layer_drop_rate(m) or 0) > 0 for m in model.modules() if m.training)


def drops_branches(model: nn.Module) -> bool:
    """Say whether it skips branches for a whole batch, as torchvision's `StochasticDepth` may."""
    return any(_branch_drop(module) > 0 for module in model.modules() if module.training)


def _branch_drop(module: nn.Module) -> float:
    values = vars(module)
    rate = values.get("p") if values.get("mode") == "batch" else None
    return rate if isinstance(rate, float) else 0.0


def _report(model: nn.Module, line: str, rank: int) -> None:
    lines = _REPORT_LINES.setdefault(model, set())
    if line not in lines and rank == 0:
        print(f"dropsmith: {line}", file=sys.stderr)
    lines.add(line)
