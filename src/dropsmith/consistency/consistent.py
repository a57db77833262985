"""`consistent` hooks an objective into a model: same object back, its loss now with the term.

A hook before the root's forward stacks the batch, a hook after it adds the term and cuts the
outputs to view 0. Nothing is wrapped, so `forward`, its signature, `state_dict`, `generate` and
`save_pretrained` stay what they were; in eval mode and without gradients the hooks do nothing.
"""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropsmith.consistency.run import Running, extra_views, start
from dropsmith.consistency.task_loss import loss_of
from dropsmith.errors import PlanError, ViewError
from dropsmith.objectives import LossFunction, Objective
from dropsmith.sites import Noise, Plan
from dropsmith.sites.install import installation_of
from dropsmith.sites.noise import ATTRIBUTE
from dropsmith.terms import Mean, Terms
from dropsmith.views import Views, audit
from dropsmith.views.passes import choose

STATE = "_dropsmith_consistent"
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class ConsistentOutput:
    """What a plain module returns in training once it is consistent.

    Args:
        loss: the scalar to call `backward` on.
        logits: what the module returned for view 0.
    """

    loss: Tensor
    logits: Any


class Consistent:
    """What `consistent` put on a model; reached by `terms_of` and taken off by `restore`."""

    def __init__(self, objective: Objective, loss: LossFunction, takes_labels: bool) -> None:
        self.objective, self.loss, self.takes_labels = objective, loss, takes_labels
        self.handles: list[RemovableHandle] = []
        self.running: Running | None = None
        self.terms: Terms = {}
        self.plan: Plan | None = None
        self.had_noise = True
        self.checked = self.warned = self.busy = False

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"running": None, "terms": {}, "busy": False}


def consistent(
    model: Model,
    objective: Objective,
    *,
    loss: LossFunction | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    rank: int = 0,
) -> Model:
    """Put the objective's term into a model's own training loss, so that any loop trains on it.

    In train mode with gradients the model then needs `labels`. A Hugging Face model returns its
    own output with the new loss; a plain module, which may not take labels itself, returns a
    `ConsistentOutput`. The loss is the mean task loss over the views plus the weighted term.

    >>> from dropsmith.objectives import RDrop
    >>> from dropsmith.objectives.losses import classification
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    >>> of_view = lambda output, batch: classification(output, batch["labels"])
    >>> net = consistent(net, RDrop(alpha=1), loss=of_view)
    >>> net(torch.ones(4, 3), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    >>> restore(net)(torch.ones(4, 3)).shape
    torch.Size([4, 2])

    Args:
        model: the root module, before it is given to DistributedDataParallel or Accelerate.
        objective: how many views, and what they should agree on.
        loss: takes what the model returned for one view and that view's batch (arguments by name,
            with `labels`) and returns a `Loss`; needed unless this is a Hugging Face task model.
        plan: noise to install as well, taken off again by `restore`.
        seed: of the plan's masks.
        rank: of this process, for the plan's masks.

    Raises:
        ObjectiveError: the task loss is not known, or (in training) labels are missing.
        ViewError: in the first training step, the views are identical: no noise is on.
    """
    if STATE in model.__dict__:
        raise PlanError("this model is consistent already\n  undo it first: restore(model)")
    state = Consistent(objective, loss or loss_of(model), _takes_labels(model))
    state.had_noise = ATTRIBUTE in model.__dict__
    if plan is not None:
        plan.install(model, seed=seed, rank=rank)
        state.plan = plan
    model.__dict__.setdefault(ATTRIBUTE, Noise(seed, rank))
    model.__dict__[STATE] = state
    state.handles = [
        model.register_forward_pre_hook(_Before(state), with_kwargs=True),
        model.register_forward_hook(_After(state), with_kwargs=True, always_call=True),
    ]
    return model


def restore(model: Model) -> Model:
    """Take off what `consistent` put on; the model is then as it was."""
    state: Consistent | None = model.__dict__.pop(STATE, None)
    if state is None:
        raise PlanError("this model is not consistent: there is nothing to restore")
    for handle in state.handles:
        handle.remove()
    if state.plan is not None:
        state.plan.remove(model)
    if not state.had_noise and installation_of(model) is None:
        model.__dict__.pop(ATTRIBUTE, None)
    return model


def terms_of(model: nn.Module) -> dict[str, Mean]:
    """Sum and count of each term in the last training forward, without their graph."""
    state = next((m.__dict__[STATE] for m in model.modules() if STATE in m.__dict__), None)
    if state is None:
        raise PlanError("this model is not consistent: call consistent(model, objective) first")
    return {name: term.detach() for name, term in state.terms.items()}


class _Before:
    """Stacks the batch, or begins the first of several passes."""

    def __init__(self, state: Consistent) -> None:
        self.state = state

    def __call__(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        state = self.state
        if state.busy or not torch.is_grad_enabled():
            return None
        if not module.training:
            return _warn_of_eval(state, kwargs)
        noise: Noise = module.__dict__[ATTRIBUTE]
        if installation_of(module) is None:
            noise.begin(training=True)
        n = state.objective.views_at(noise.step)
        how = choose(module, n, state.objective.quiet, state.objective.share)
        state.running, args, kwargs = start(module, args, kwargs, n, how, state)
        return args, kwargs


class _After:
    """Adds the term to the loss and cuts the outputs to view 0."""

    def __init__(self, state: Consistent) -> None:
        self.state = state

    def __call__(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        state = self.state
        if state.busy or state.running is None:
            return None
        running, state.running = state.running, None
        state.busy = True
        try:
            if output is None:  # the forward raised
                return None
            views = extra_views(module, running, args, kwargs, output, state.objective)
            _check_differ(state, module, views)
            terms = state.objective.terms(views, state.loss)
            state.terms = terms
            counted = running.rescaled(terms)
            loss = state.objective.total(counted, running.step)
        finally:
            running.finish()
            state.busy = False
        return _with_loss(views.outputs[0], loss, state.takes_labels)


def _with_loss(output: Any, loss: Tensor, takes_labels: bool) -> Any:
    if isinstance(output, Mapping) and hasattr(output, "to_tuple"):
        rest = {key: value for key, value in output.items() if key != "loss"}
        return type(output)(loss=loss, **rest)
    if isinstance(output, tuple) and takes_labels:
        scalar = isinstance(output[0], Tensor) and output[0].ndim == 0
        return (loss, *output[1:]) if scalar else (loss, *output)
    if isinstance(output, Mapping):
        return {**output, "loss": loss}
    return ConsistentOutput(loss=loss, logits=output)


def _takes_labels(model: nn.Module) -> bool:
    parameters = inspect.signature(model.forward).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return anything or "labels" in parameters


def _warn_of_eval(state: Consistent, kwargs: dict[str, Any]) -> None:
    if kwargs.get("labels") is not None and not state.warned and not torch.compiler.is_compiling():
        state.warned = True
        warnings.warn(
            "a consistent model was given labels with gradients on while in eval mode: the term is "
            "off, and so is dropout\n  call model.train() (from_pretrained returns eval mode, and "
            "some trainers leave it)",
            stacklevel=3,
        )


def _check_differ(state: Consistent, module: nn.Module, views: Views) -> None:
    if state.checked or len(views) < 2 or torch.compiler.is_compiling():
        return
    state.checked = True
    first, second = (logits[: views.shared_rows].detach() for logits in views.logits[:2])
    if not torch.equal(first, second):
        return
    batch = {k: v for k, v in views.batches[0].items() if k != "labels"}
    try:
        report = f"\n{audit(module, batch)}"
    except Exception as error:
        report = f"\n  (the audit could not run on this batch: {error})"
    raise ViewError(
        "the views of the first training step are identical, so there is nothing to agree on\n"
        "  the noise at every site:" + report
    )
