"""The terms of a consistent model in the log of the trainer that calls it.

Neither the Trainer of transformers nor that of Lightning asks a model for numbers to log. But both
stand in the stack of calls when a training forward begins, and both have a public way to log: a
callback, which is put on that Trainer until its training ends, and `LightningModule.log`. Neither
library is imported here, and no class of theirs is changed.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from dropsmith.consistency.task_loss import LabelledLoss
from dropsmith.objectives import LossFunction
from dropsmith.terms import Terms

PREFIX = "terms/"
"""Before the name of a term in a log."""

_TRANSFORMERS = "transformers.trainer"
_LIGHTNING = ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer")
_ENTRIES = ("train", "fit")
"""The methods in which the Trainers of transformers and Lightning train."""

_EVERY = 8
"""Training forwards from one look at the callers to the next, which takes some microseconds."""


class TermsLog:
    """Finds the trainer that calls a model, and gives it the model's terms.

    Args:
        loss: the task loss of the model, which may weigh its items.

    Attributes:
        total_weight: the weight of all items of the optimiser step, where a Trainer shows its
            batches and the loss has weights; else None.
    """

    def __init__(self, loss: LossFunction) -> None:
        self.loss = loss
        self.total_weight: float | None = None
        self._trainer: Any = None
        self._callback: Any = None
        self._module: Any = None
        self._sums: Terms = {}
        self._forwards = 0

    def find(self) -> None:
        """Look for a trainer among the callers of a training forward; after the first, seldom."""
        self._forwards += 1
        if self._forwards > _EVERY and self._forwards % _EVERY and self.total_weight is None:
            return
        loaded = [sys.modules[name] for name in (_TRANSFORMERS, *_LIGHTNING) if name in sys.modules]
        trainer = _calling(tuple(module.Trainer for module in loaded)) if loaded else None
        self._module = getattr(trainer, "lightning_module", None)
        trainer = None if self._module is not None else trainer
        if trainer is not self._trainer:
            self.leave()
            if trainer is not None:
                self._join(trainer)

    def note(self, terms: Terms) -> None:
        """Give the terms of one forward, without their graph, to the trainer that was found."""
        if self._trainer is not None:
            for name, term in terms.items():
                self._sums[name] = self._sums[name] + term if name in self._sums else term
        elif self._module is not None:
            _log_in_lightning(self._module, terms)

    def take(self, device: Any) -> dict[str, float]:
        """The means over all items since they were last taken, over all processes."""
        names, sums = list(self._sums), self._sums
        self._sums = {}
        if not names:
            return {}
        pairs = [sums[name].numbers for name in names]
        numbers = torch.tensor(pairs, dtype=torch.float64)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            numbers = numbers.to(device, torch.float32)
            torch.distributed.all_reduce(numbers)
        means = (numbers[:, 0] / numbers[:, 1].clamp(min=torch.finfo(torch.float32).tiny)).tolist()
        return {PREFIX + name: mean for name, mean in zip(names, means, strict=True)}

    def _join(self, trainer: Any) -> None:
        """Put a callback on a Trainer of transformers, before those that write its log."""
        self._trainer, self._callback = trainer, _callback(self)
        trainer.callback_handler.callbacks.insert(0, self._callback)
        if isinstance(self.loss, LabelledLoss) and self.loss.class_weights is not None:
            batches = _batches_in_stack(trainer)
            self.total_weight = None if batches is None else self._weight_of(batches)
            trainer.get_batch_samples = self._weighing(trainer.get_batch_samples)

    def leave(self) -> None:
        """Take off a Trainer what was put on it; its training has ended, perhaps with an error."""
        trainer, self._trainer, self.total_weight, self._sums = self._trainer, None, None, {}
        if trainer is None:
            return
        handler = trainer.callback_handler
        handler.callbacks = [each for each in handler.callbacks if each is not self._callback]
        trainer.__dict__.pop("get_batch_samples", None)

    def _weighing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A Trainer's method that returns the batches of an optimiser step, noting their weight."""

        def get_batch_samples(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self.total_weight = self._weight_of(result[0])
            return result

        return get_batch_samples

    def _weight_of(self, batches: list[Any]) -> float | None:
        """The weight of all items of an optimiser step; None where it is not known."""
        assert isinstance(self.loss, LabelledLoss)
        weights = [self.loss.weight_of(batch) for batch in batches]
        total = sum(weight for weight in weights if weight is not None)
        if None in weights:
            return None
        arguments = self._trainer.args
        if arguments.average_tokens_across_devices and arguments.world_size > 1:
            part = torch.tensor([total], device=arguments.device)
            total = float(self._trainer.accelerator.gather(part).sum())
        return total


def _calling(classes: tuple[type, ...]) -> Any:
    """The trainer of one of these classes that called this function; None where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in _ENTRIES:
            caller = frame.f_locals.get("self")
            if isinstance(caller, classes):
                return caller
        frame = frame.f_back
    return None


def _batches_in_stack(trainer: Any) -> list[Any] | None:
    """The batches of the optimiser step that a Trainer is making, as its method names them."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        values = frame.f_locals
        if values.get("self") is trainer and isinstance(values.get("batch_samples"), list):
            return values["batch_samples"]
        frame = frame.f_back
    return None


def _callback(log: TermsLog) -> Any:
    """A callback of transformers that adds the terms to what is logged of training."""
    from transformers import TrainerCallback

    class LogTerms(TrainerCallback):
        """Adds the terms of a consistent model to each line of the log of training."""

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **arguments: Any
        ) -> None:
            if logs is None or "loss" not in logs:
                return
            history = state.log_history[-1] if state.log_history else {}
            lines = [logs, history] if history.get("step") == state.global_step else [logs]
            for name, mean in log.take(args.device).items():
                for line in lines:
                    line.setdefault(name, mean)

        def on_train_end(self, args: Any, state: Any, control: Any, **arguments: Any) -> None:
            log.leave()

    return LogTerms()


def _log_in_lightning(module: Any, terms: Terms) -> None:
    """Log the terms of a step in its training step, where Lightning takes numbers to log."""
    is_training_step = getattr(module, "_current_fx_name", None) == "training_step"
    if not is_training_step or getattr(module.trainer, "barebones", False):
        return
    values: dict[str, Tensor] = {PREFIX + name: term.value for name, term in terms.items()}
    module.log_dict(values, prog_bar=True, on_step=True, on_epoch=False, batch_size=1)
