"""The choice between views stacked into one forward and views made one after the other."""

import sys
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from dropsmith.batches import Arguments, Layout
from dropsmith.errors import ViewError
from dropsmith.noise import (
    branch_drop_rate,
    installations,
    layer_drop_rate,
    layout_of,
    model_state,
)
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
    state = model_state(model)
    reason = _known_reason(model, request, state)
    if reason and request.mode == "auto":
        return None
    layout = layout_of(model, arguments, request.rows, state)
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


_MAX_STATES = 64
"""States of one model whose reasons are kept, at most."""


_REASONS: WeakKeyDictionary[nn.Module, dict[Any, str]] = WeakKeyDictionary()


def _known_reason(model: nn.Module, request: ViewRequest, state: Any) -> str:
    """`_once_per_batch`, looked up once for each state of the model."""
    reasons = _REASONS.get(model)
    if reasons is None:
        reasons = _REASONS[model] = {}
    key = state, request.noise_free, request.batch_fraction, request.reads is None
    reason = reasons.get(key)
    if reason is None:
        if len(reasons) >= _MAX_STATES:
            reasons.clear()
        reason = reasons[key] = _once_per_batch(model, request)
    return reason


def _once_per_batch(model: nn.Module, request: ViewRequest) -> str:
    """The noise that is drawn once for a whole batch, known before anything runs; empty for none.

    A model that drops whole layers does so for a whole batch; but views whose blocks are compared
    must have run the same ones.
    """
    plans = [installation for _, installation in installations(model)]
    if request.noise_free:
        return "a view without noise"
    if any(
        assignment.rule.views == "fresh" and assignment.pattern.goes_on == "weights"
        for installation in plans
        for assignment in installation.assignments
    ):
        return "weights are dropped once for a batch"
    if drops_branches(model) or (request.reads is None and drops_layers(model)):
        return "layers or branches are skipped once for a batch"
    return _PARTIAL if request.batch_fraction < 1 and plans else ""


def drops_layers(model: nn.Module) -> bool:
    """Say whether a model skips whole layers in training, as transformers' `layerdrop` does."""
    return any((layer_drop_rate(m) or 0) > 0 for m in model.modules() if m.training)


def drops_branches(model: nn.Module) -> bool:
    """Say whether it skips branches for a whole batch, as torchvision's `StochasticDepth` may."""
    return any((branch_drop_rate(m) or 0) > 0 for m in model.modules() if m.training)


def _report(model: nn.Module, line: str, rank: int) -> None:
    lines = _REPORT_LINES.setdefault(model, set())
    if line not in lines and rank == 0:
        print(f"dropsmith: {line}", file=sys.stderr)
    lines.add(line)
