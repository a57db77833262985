"""The checks of the first training steps: the views differ, and the model's own loss is ours."""

import torch
from torch import nn

from dropsmith.consistency.auxiliary_loss import check_own_loss, has_auxiliary, own_loss_of
from dropsmith.consistency.task_loss import LabelledLoss
from dropsmith.errors import ViewError
from dropsmith.noise import ForwardPass, Noise, installations, owner_module
from dropsmith.objectives import LossFunction
from dropsmith.passes import Audit, AuditRow, ViewRun, Views, audit
from dropsmith.patterns import Off, TorchDropout
from dropsmith.plans import display_name

PATIENCE = 10
"""Steps before equal views are an error: a low rate may leave a small batch whole."""


class FirstSteps:
    """Checks that are made once: that the views differ, and that the model's own loss is ours."""

    def __init__(self) -> None:
        self.loss_matches = self.loss_is_checked = self.views_differ = self.auxiliary = False
        self.over = False
        self.identical = 0

    def check(self, module: nn.Module, run: ViewRun, views: Views, loss: LossFunction) -> None:
        """Check the views, until they differ, and the model's own loss, once it is there."""
        if not self.loss_matches and isinstance(loss, LabelledLoss):
            self.loss_matches = check_own_loss(views, loss, run.together)
            self.auxiliary = self.loss_matches and has_auxiliary(views.outputs[0])
        if not self.loss_is_checked:
            absent = not isinstance(loss, LabelledLoss) or own_loss_of(views.outputs[0]) is None
            self.loss_is_checked = self.loss_matches or absent
        if not self.views_differ and len(views) > 1:
            self.identical += 1
            patient = self.identical < PATIENCE
            self.views_differ = check_differ(views, module, run.noise, run.trunk, patient)
        self.over = self.loss_is_checked and self.views_differ


def check_differ(
    views: Views, module: nn.Module, noise: Noise, trunk: str | None = None, patient: bool = False
) -> bool:
    """Say whether the views are known to differ; `ViewError` where they have no noise of their own.

    Equal outputs alone do not tell: a head may begin at zero, a schedule at rate 0, and a rare
    pattern may leave a small batch as it is.

    Args:
        views: of a training step.
        module: the root.
        noise: its noise.
        trunk: the module from which on the views have noise of their own, if not the root.
        patient: whether noise that may have left everything as it was is no fault yet.
    """
    first, second = (logits[: views.shared_rows].detach() for logits in views.logits[:2])
    if not torch.equal(first, second):
        return True
    if _draws_for_each_view(module):
        return False
    try:
        with noise.passing(ForwardPass()):
            # With its labels, from which some models make what their decoder is given.
            report: Audit | str = audit(module, views.batches[0])
    except Exception as error:
        report = f"  (the audit could not run on this batch: {error})"
    above = _from(module, trunk)
    rows = [] if isinstance(report, str) else [r for r in report.rows if r.site.owner in above]
    if any(row.differ or (patient and _may_drop(module, row)) for row in rows):
        return False
    if not isinstance(report, str) and not report.rows:
        report = "  the model has none\n  give it some: consistent(..., plan=Plan(rule(...)))"
    raise ViewError(
        "the views of a training step are identical, so the consistency term is 0\n"
        f"  the noise at every site:\n{report}"
    )


def _may_drop(module: nn.Module, row: AuditRow) -> bool:
    """Say whether a site that changed nothing in this pass may drop something in another."""
    if row.on:
        return row.differ is None
    silent = row.dropped is None or row.how == "off" or not row.site.rate
    return not silent and owner_module(module, row.site.owner).training


def _from(module: nn.Module, trunk: str | None) -> list[str]:
    """The modules above a trunk, or all: they are taken to run in the order of their definition."""
    names = [name for name, _ in module.named_modules()]
    return [
        display_name(name) for name in (names if trunk is None else names[names.index(trunk) :])
    ]


def _draws_for_each_view(module: nn.Module) -> bool:
    """Say whether some pattern of a plan drew for each view, or will once its schedule begins."""
    return any(
        assignment.rule.views == "fresh"
        and not isinstance(assignment.pattern, Off | TorchDropout)
        and getattr(assignment.pattern, "rate", 1) != 0
        and installation.noise.draw_counts.get(assignment.site.name)
        for _, installation in installations(module)
        for assignment in installation.assignments
    )
