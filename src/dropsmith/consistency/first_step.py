"""The checks of the first training steps: that the term can do what it is for."""

import torch
from torch import nn

from dropsmith.consistency.auxiliary_loss import check_own_loss, has_auxiliary, own_loss_of
from dropsmith.consistency.task_loss import LabelledLoss
from dropsmith.errors import ViewError
from dropsmith.noise import ForwardPass, Noise, installation_of, owner_module
from dropsmith.objectives import LossFunction
from dropsmith.passes import Audit, AuditRow, ViewRun, Views, audit
from dropsmith.patterns import Off, TorchDropout
from dropsmith.plans import display_name

PATIENCE = 10
"""Steps in which views may be identical by chance, as a low rate leaves a small batch whole."""


class FirstSteps:
    """Checks that are made once: that the views differ, and that the model's own loss is ours."""

    def __init__(self) -> None:
        self.compared = self.differed = self.met = self.auxiliary = False
        self.identical = 0

    @property
    def over(self) -> bool:
        """Whether there is nothing left to look at."""
        return self.met and self.differed

    def check(self, module: nn.Module, run: ViewRun, views: Views, loss: LossFunction) -> None:
        """Look at the views, until they were seen to differ, and at the model's own loss."""
        if not self.compared and isinstance(loss, LabelledLoss):
            self.compared = check_own_loss(views, loss, run.together)
            self.auxiliary = self.compared and has_auxiliary(views.outputs[0])
        if not self.met:
            none = not isinstance(loss, LabelledLoss) or own_loss_of(views.outputs[0]) is None
            self.met = self.compared or none
        if not self.differed and len(views) > 1:
            self.identical += 1
            patient = self.identical < PATIENCE
            self.differed = check_differ(views, module, run.noise, run.trunk, patient)


def check_differ(
    views: Views, module: nn.Module, noise: Noise, trunk: str | None = None, patient: bool = False
) -> bool:
    """Whether the views are known to have noise of their own; `ViewError` where they have none.

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
    if _drawn_afresh(module, noise):
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
    raise ViewError(
        "the views of a training step are identical, so there is nothing to agree on\n"
        f"  the noise at every site:\n{report}"
    )


def _may_drop(module: nn.Module, row: AuditRow) -> bool:
    """Whether a site may drop something another time, of which nothing was seen in this one."""
    if row.on:
        return row.differ is None
    silent = row.dropped is None or row.how == "off" or not row.site.rate
    return not silent and owner_module(module, row.site.owner).training


def _from(module: nn.Module, trunk: str | None) -> list[str]:
    """The modules above a trunk, or all; taken to run in the order in which they were made."""
    names = [name for name, _ in module.named_modules()]
    return [
        display_name(name) for name in (names if trunk is None else names[names.index(trunk) :])
    ]


def _drawn_afresh(module: nn.Module, noise: Noise) -> bool:
    """Whether some pattern of a plan drew for each view, or will once its schedule begins."""
    made = next((i for m in module.modules() if (i := installation_of(m)) is not None), None)
    return made is not None and any(
        one.rule.views == "fresh"
        and not isinstance(one.pattern, Off | TorchDropout)
        and getattr(one.pattern, "rate", 1) != 0
        and noise.draw_counts.get(one.site.name)
        for one in made.assignments
    )
