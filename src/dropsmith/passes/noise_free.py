"""Passes without any noise, torch's own included, also where backward runs their layers again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.autograd import Variable

from dropsmith.batches import tensors_in
from dropsmith.noise import evaluating


@contextmanager
def noise_disabled(model: nn.Module) -> Iterator[None]:
    """Put every module but BatchNorm in eval mode, so that torch's own noise is off, too."""
    with evaluating(model):
        yield


class Modes:
    """Puts the model in the mode of each looped view when backward comes to it.

    Activation checkpointing runs layers again during backward: those of a noise-free view must then
    run without noise, and those of the others with it. When backward ends, also by an error, every
    module is in the mode that it was in.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.evaluation: ExitStack | None = None

    def remember(self, output: Any, *, noise_free: bool) -> None:
        """Hook what a pass returned, which backward reaches before any layer of that pass."""
        for tensor in tensors_in(output):
            if tensor.requires_grad:
                tensor.register_hook(self._enter_eval if noise_free else self._leave_eval)

    def _enter_eval(self, grad: Tensor) -> None:
        if self.evaluation is None:
            self.evaluation = ExitStack()
            self.evaluation.enter_context(evaluating(self.model))
            Variable._execution_engine.queue_callback(_AtEnd(self._leave_eval))

    def _leave_eval(self, grad: Tensor | None = None) -> None:
        if self.evaluation is not None:
            self.evaluation.close()
            self.evaluation = None


class _AtEnd:
    """Does something when backward is over.

    The engine calls it back only from a backward that succeeds; of one that fails it lets go, too.
    """

    def __init__(self, do: Callable[[], None]) -> None:
        self.do = do

    def __call__(self) -> None:
        self.do()

    def __del__(self) -> None:
        self.do()
