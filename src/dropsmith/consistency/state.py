"""The state of a consistent model from step to step, and what it returns."""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropsmith.activations import Reader, never
from dropsmith.consistency.first_step import FirstSteps
from dropsmith.consistency.head import FusedHead, HeadChoice
from dropsmith.consistency.loss_watch import CallWatch, LossWatch
from dropsmith.consistency.signature import Signature
from dropsmith.consistency.trainer_log import TermsLog
from dropsmith.noise import RowAxes
from dropsmith.objectives import LossFunction, Objective
from dropsmith.passes import Mode, Scores, ViewRequest, ViewRun
from dropsmith.plans import Plan
from dropsmith.terms import Terms


class ConsistentOutput(NamedTuple):
    """The output of a plain module in training, once it is consistent.

    Args:
        loss: the scalar to call `backward` on.
        logits: what the module returned for view 0.
    """

    loss: Tensor
    logits: Any


class StepRun(NamedTuple):
    """A training step that is running, from the hook before the forward to that after it.

    Args:
        run: the passes.
        items: over how many items a trainer averages, of which these are a part; or None.
        thread: that makes the step.
    """

    run: ViewRun
    items: Tensor | int | None
    thread: int


class Consistent:
    """The state that `consistent` puts on a model, `terms_of` reads and `restore` takes off."""

    def __init__(
        self,
        objective: Objective,
        loss: LossFunction,
        forward: Signature,
        mode: Mode,
        trunk: str | None,
        rows: RowAxes | None = None,
        head: HeadChoice = "auto",
    ) -> None:
        self.objective, self.loss, self.forward = objective, loss, forward
        self.mode: Mode = mode
        self.trunk, self.rows = trunk, rows
        self.labels_are_optional = False
        self.requests: dict[int, ViewRequest] = {}
        self.attributes_before: dict[str, tuple[bool, Any]] = {}
        self.handles: list[RemovableHandle] = []
        self.running: StepRun | None = None
        self.terms: Terms = {}
        self.plan: Plan | None = None
        self.had_noise = False
        self.first = FirstSteps()
        self.log = TermsLog(loss)
        self.head = FusedHead(head)
        self.has_warned = False
        self.watch = LossWatch()
        self.calls: CallWatch | None = None
        self.scores: Scores | None = None
        self.reader: Reader | None = None

    def request(self, views: int) -> ViewRequest:
        """The request of the objective for a training step of so many views, made once."""
        several = views > 1
        request = ViewRequest(
            views=views,
            mode=self.mode,
            noise_free=tuple(view for view in self.objective.noise_free if view < views),
            batch_fraction=self.objective.batch_fraction if several else 1.0,
            trunk=self.trunk if several else None,
            reads=self.objective.reads if several else None,
            rows=self.rows,
            strata=self.objective.strata if several else 0,
        )
        self.requests[views] = request
        return request

    def reader_for(self, model: nn.Module, run: ViewRun) -> Reader:
        """A reader of the pass that the root has begun; that of the step before where it fits."""
        reads = run.request.reads
        assert reads is not None
        last = self.reader
        fits = last is not None and last.is_reusable and last.model is model and last.reads == reads
        if not fits or run.below is not never or last is None or last.below is not never:
            self.reader = Reader(model, reads, in_forward=True, below=run.below)
        assert self.reader is not None
        return self.reader

    def __getstate__(self) -> dict[str, Any]:
        # Hooks that are off now would find their way back into the original and not the copy.
        # A copy is called by another trainer.
        return self.__dict__ | {"reader": None, "log": TermsLog(self.loss)}
