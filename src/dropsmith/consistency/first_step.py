"""What is looked at once, in the first training steps: that the term can do what it is for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.consistency.task_loss import LabelledLoss
from dropsmith.errors import ObjectiveError, ViewError
from dropsmith.noise import ForwardPass, Noise, installation_of
from dropsmith.objectives import LossFunction
from dropsmith.passes import Audit, ViewRun, Views, audit
from dropsmith.patterns import Native, Off
from dropsmith.terms import total


class FirstSteps:
    """Checks that are made once: that the views differ, and that the model's own loss is ours."""

    def __init__(self) -> None:
        self.compared = self.differed = self.met = False

    @property
    def over(self) -> bool:
        """Whether there is nothing left to look at."""
        return self.met and self.differed

    def check(self, module: nn.Module, run: ViewRun, views: Views, loss: LossFunction) -> None:
        """Look at the views, until they were seen to differ, and at the model's own loss."""
        if not self.compared and isinstance(loss, LabelledLoss):
            self.compared = check_loss(views, loss, run.together)
        if not self.met:
            none = not isinstance(loss, LabelledLoss) or _own_loss(views.outputs[0]) is None
            self.met = self.compared or none
        if not self.differed and len(views) > 1:
            self.differed = check_differ(views, module, run.noise, run.trunk)


def check_differ(views: Views, module: nn.Module, noise: Noise, trunk: str | None = None) -> bool:
    """Whether the views are known to have noise of their own; `ViewError` where they have none.

    Equal outputs alone do not tell: a head may begin at zero, a schedule at rate 0, and a rare
    pattern may leave a small batch as it is.
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
    if isinstance(report, Audit) and any(r.differ and r.site.owner in above for r in report.rows):
        return False
    raise ViewError(
        "the views of a training step are identical, so there is nothing to agree on\n"
        f"  the noise at every site:\n{report}"
    )


def check_loss(views: Views, loss: LabelledLoss, together: bool) -> bool:
    """Whether the model's own loss was there to compare with; `ObjectiveError` where it differs.

    A model may add something to its loss, such as a balance of experts, which the loss inferred
    from its class would leave out.
    """
    own = _own_loss(views.outputs[0])
    if own is None or not bool(own.isfinite()):
        return False
    if loss.problem == "spans":  # there the models average starts and ends each by themselves
        return True
    loss = replace(loss, label_smoothing=0.0)
    # The loss of one forward is that of all its views, whichever of them carry it.
    made = list(zip(views.outputs, views.batches, strict=True))[: None if together else 1]
    with torch.no_grad():
        ours = total(loss(output, batch).mean for output, batch in made).value
    exact = views.logits[0].dtype in (torch.float32, torch.float64)
    if torch.isclose(own.float(), ours.float(), rtol=1e-3 if exact else 3e-2, atol=1e-4):
        return True
    raise ObjectiveError(
        f"this model computes a loss of {float(own):.6g}, the loss inferred from its class is "
        f"{float(ours):.6g}\n"
        "  give the one to train with: consistent(model, objective, loss=function)"
    )


def _from(module: nn.Module, trunk: str | None) -> list[str]:
    """The modules above a trunk, or all; taken to run in the order in which they were made."""
    names = [name for name, _ in module.named_modules()]
    return names if trunk is None else names[names.index(trunk) :]


def _drawn_afresh(module: nn.Module, noise: Noise) -> bool:
    """Whether some pattern of a plan drew for each view, or will once its schedule begins."""
    made = next((i for m in module.modules() if (i := installation_of(m)) is not None), None)
    return made is not None and any(
        one.rule.views == "fresh"
        and not isinstance(one.pattern, Off | Native)
        and getattr(one.pattern, "rate", 1) != 0
        and noise.draw_counts.get(one.site.name)
        for one in made.assignments
    )


def _own_loss(output: Any) -> Tensor | None:
    found = output.get("loss") if isinstance(output, Mapping) else None
    if found is None and isinstance(output, tuple) and output:
        found = output[0]
    return found.detach() if isinstance(found, Tensor) and found.ndim == 0 else None
