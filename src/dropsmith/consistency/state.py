"""What a consistent model carries from step to step, and what it returns."""

from typing import Any, Literal, NamedTuple

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from dropsmith.activations import Reader
from dropsmith.consistency.first_step import FirstSteps
from dropsmith.consistency.forward import Forward
from dropsmith.consistency.head import FusedHead, HeadChoice
from dropsmith.consistency.run import Running
from dropsmith.objectives import LossFunction, Objective
from dropsmith.plans import Plan
from dropsmith.terms import Terms


class ConsistentOutput(NamedTuple):
    """What a plain module returns in training once it is consistent.

    Args:
        loss: the scalar to call `backward` on.
        logits: what the module returned for view 0.
    """

    loss: Tensor
    logits: Any


class Consistent:
    """What `consistent` put on a model; reached by `terms_of` and taken off by `restore`."""

    def __init__(
        self,
        objective: Objective,
        loss: LossFunction,
        forward: Forward,
        mode: Literal["auto", "looped"],
        trunk: str | None,
        head: HeadChoice = "auto",
        apart: bool = False,
    ) -> None:
        self.objective, self.loss, self.forward, self.mode = objective, loss, forward, mode
        self.trunk, self.apart = trunk, apart
        self.told: dict[str, tuple[bool, Any]] = {}
        self.handles: list[RemovableHandle] = []
        self.running: Running | None = None
        self.terms: Terms = {}
        self.plan: Plan | None = None
        self.had_noise = False
        self.first = FirstSteps()
        self.head = FusedHead(head)
        self.warned = False
        self.reader: Reader | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Hooks that are off now would find their way back into the original and not the copy.
        return self.__dict__ | {"reader": None}
