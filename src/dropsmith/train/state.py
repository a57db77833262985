"""The state of a run, and its conversion to a checkpoint and back."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dropsmith.errors import CheckpointError
from dropsmith.noise import find_noise
from dropsmith.record import validation_loss, validation_loss_name
from dropsmith.terms import Terms
from dropsmith.train.checkpoint import Checkpoint
from dropsmith.train.nested_tensors import pack, unpack
from dropsmith.train.state_checks import (
    check_curve,
    check_generators,
    check_optimizer,
    check_weights,
    checked_groups,
)

Weights = dict[str, Tensor]


@dataclass
class State:
    """The state of a run: everything that changes during it.

    Args:
        model, optimizer: the model, with its plan installed, and its optimiser.
        step: the number of finished steps.
        loss: the sum of the task losses since the last evaluation, and their number.
        other_terms: the same for every other term of the objective, by name.
        curve: a row for each evaluation.
        best: the weights with the lowest validation loss so far, or the last weights.
        best_nll: the lowest validation loss.
        worse: the number of evaluations in a row that were not better.
        seconds: time of training steps.
        processor_seconds: processor time of training steps, over all threads.
        peak_bytes: peak memory, over all processes of the run.
        window_state: the state after the last window of a text, by argument name.
        fused_head: the module whose scores were last fused with the loss, or None.
    """

    model: nn.Module
    optimizer: Optimizer
    step: int = 0
    loss: tuple[float, float] = (0.0, 0.0)
    other_terms: dict[str, tuple[float, float]] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    best: Weights = field(default_factory=dict)
    best_nll: float | None = None
    worse: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_bytes: float = 0.0
    window_state: dict[str, Any] = field(default_factory=dict)
    fused_head: str | None = None

    @property
    def losses(self) -> list[float]:
        """The validation loss after every epoch so far, without that of start weights.

        It is empty for runs without validation.
        """
        evaluations = [row for row in self.curve if row["step"]]
        return [
            validation_loss(row) for row in evaluations if validation_loss_name(row) is not None
        ]

    def add_other_terms(self, terms: Terms) -> None:
        """Add the terms of a step, other than the task loss."""
        for name, term in terms.items():
            if name != "task":
                total, count = self.other_terms.get(name, (0.0, 0.0))
                self.other_terms[name] = total + float(term.sum), count + float(term.count)

    @property
    def mean_terms(self) -> dict[str, float]:
        """The mean of each term of the loss since the last evaluation, the task loss first."""
        sums = {"task": self.loss, **self.other_terms}
        return {name: total / count for name, (total, count) in sums.items() if count}

    def keep_best(self, nll: float) -> None:
        """Keep the weights if the loss is the lowest, else count one more evaluation without."""
        if self.best_nll is None or math.isnan(self.best_nll) or nll < self.best_nll:
            self.best_nll, self.worse, self.best = nll, 0, copy_weights(self.model)
        else:
            self.worse += 1

    def keep_last(self) -> None:
        """Keep the last weights, without validation."""
        self.best = copy_weights(self.model)

    def checkpoint(self, identity: dict[str, Any]) -> Checkpoint:
        """The checkpoint of this state.

        Raises:
            CheckpointError: the state between windows holds a value that cannot be stored.
        """
        noise = find_noise(self.model)
        optimizer, groups = _split(self.optimizer.state_dict())
        try:
            window_tensors, structure = pack(self.window_state)
        except CheckpointError as error:
            raise CheckpointError(
                f"a checkpoint cannot hold the state that the model returns\n  {error}"
            ) from None
        values: Any = {key: getattr(self, name) for key, name in _NUMBERS.items()}
        values |= {"noise_step": noise.step if noise is not None else 0, "groups": groups}
        values |= {"carried": structure}
        tensors = _with_prefix("model", self.model.state_dict()) | _with_prefix("best", self.best)
        tensors |= _with_prefix("optimizer", optimizer) | _with_prefix("generator", _generators())
        tensors |= _with_prefix("carried", window_tensors)
        return Checkpoint(identity=identity, values=values, tensors=tensors)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restore the state of a checkpoint, bit for bit.

        Raises:
            CheckpointError: it is of another model or optimiser, or has impossible values; the
                state is then unchanged.
        """
        device = next(self.model.parameters()).device
        rooms = {room: _under(room, checkpoint.tensors) for room in _ROOMS}
        values: Any = checkpoint.values
        try:
            window_state = unpack(
                {k: v.to(device) for k, v in rooms["carried"].items()}, values["carried"]
            )
            check_weights("model", rooms["model"], self.model.state_dict())
            check_weights("best", rooms["best"], self.model.state_dict() if values["curve"] else {})
            check_curve(values["curve"])
            groups = checked_groups(values["groups"], self.optimizer)
            check_optimizer(rooms["optimizer"], groups, self.optimizer)
            check_generators(rooms["generator"], _generators())
            if len(checkpoint.tensors) > sum(map(len, rooms.values())):
                raise CheckpointError("it has tensors that no run writes")
        except CheckpointError as error:
            raise checkpoint.fault(error) from None
        for key, name in _NUMBERS.items():
            setattr(self, name, values[key])
        self.loss = (self.loss[0], self.loss[1])
        self.other_terms = {name: (pair[0], pair[1]) for name, pair in self.other_terms.items()}
        self.model.load_state_dict(rooms["model"])
        self.best = {k: v.to(device) for k, v in rooms["best"].items()}
        self.window_state = window_state
        self.optimizer.load_state_dict(_optimizer_state(rooms["optimizer"], groups))
        _set_generators(rooms["generator"])
        if (noise := find_noise(self.model)) is not None:
            noise.step = values["noise_step"]


_ROOMS = ("model", "best", "optimizer", "generator", "carried")

_NUMBERS = {
    "step": "step",
    "loss": "loss",
    "beside": "other_terms",
    "curve": "curve",
    "best_nll": "best_nll",
    "worse": "worse",
    "seconds": "seconds",
    "processor_seconds": "processor_seconds",
    "peak_bytes": "peak_bytes",
}
"""Numbers of a state by their keys in a checkpoint."""


def copy_weights(model: nn.Module) -> Weights:
    """Copies of the model's weights and buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _with_prefix(room: str, tensors: Weights) -> Weights:
    return {f"{room}/{name}": tensor for name, tensor in tensors.items()}


def _under(room: str, tensors: Weights) -> Weights:
    start = f"{room}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _split(state: dict[str, Any]) -> tuple[Weights, list[dict[str, Any]]]:
    """An optimiser's tensors by `<parameter>/<name>`, and its settings as JSON values."""
    tensors = {
        f"{i}/{k}": v
        for i, state_of_parameter in state["state"].items()
        for k, v in state_of_parameter.items()
    }
    return tensors, state["param_groups"]


def _optimizer_state(tensors: Weights, groups: list[dict[str, Any]]) -> dict[str, Any]:
    state: dict[int, Weights] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = tensor
    return {"state": state, "param_groups": groups}


def _generators() -> Weights:
    """The states of torch's generators, which native dropout uses."""
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_generators(states: Weights) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
