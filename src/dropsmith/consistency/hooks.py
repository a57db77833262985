"""The two hooks of a consistent model: one before its forward and one after it.

They run as they stand where a compiler traces their caller: which views are due changes from step
to step, and compiled code that looked at the step would be compiled again for each. Saying so
imports the compiler, which takes seconds; so this file is imported when a model is made consistent.
"""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments
from dropsmith.consistency.accumulation import (
    scale_to_accumulated_batch,
    scale_with_unlabelled,
)
from dropsmith.consistency.auxiliary_loss import AUXILIARY, auxiliary_term
from dropsmith.consistency.signature import ITEMS, position_names, takes_labels
from dropsmith.consistency.state import Consistent, ConsistentOutput, StepRun
from dropsmith.consistency.task_loss import Counting, LabelledLoss
from dropsmith.errors import ObjectiveError, ViewError
from dropsmith.noise import ATTRIBUTE, INSTALLATION, Noise, turn
from dropsmith.passes import Views, plan_run
from dropsmith.terms import with_mean_counts

FUSED = "fused_lm_head"
"""What TRL's trainers ask a causal model for instead of its scores."""


@torch.compiler.disable
def before(state: Consistent, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    """Stack the batch, or begin the first of several passes."""
    if not torch.is_grad_enabled():
        return _as_forward_takes(state, args, kwargs)
    if module.training and (kwargs.get(FUSED) or getattr(module, "_is_replica", False)):
        _refuse(kwargs)
    with turn:  # Another thread may be looking at the model, or sampling it.
        noise: Noise = module.__dict__[ATTRIBUTE]
        if state.running is not None:
            _end_interrupted(state, module, noise)
        # Held noise means that somebody else is making views of this model: an audit, or `views`.
        if noise.pass_is_set:
            noise.check_thread(training=True)
            return None
        if not module.training:
            _warn_of_eval(state, kwargs)
            return _as_forward_takes(state, args, kwargs)
        return _begin(state, module, noise, args, kwargs)


@torch.compiler.disable
def after(state: Consistent, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
    """Add the term to the loss and cut the outputs to view 0."""
    step = state.running
    if step is None or step.thread != get_ident():
        return None
    state.running = None
    try:
        if output is None:
            return None
        views = step.run.finish(output)
        if state.scores is not None:
            views = replace(views, scores=state.scores)
        if not state.first.over:
            state.first.check(module, step.run, views, state.loss)
            if state.first.over:
                state.head.look_for_candidate(module)
        if state.head.lazy_head is not None:
            state.head.end()
        loss = _loss(state, step, views)
    finally:
        _close(state, step)
    if not state.watch.over:
        state.watch.watch(module, loss, views.outputs[0])
    return _with_loss(views.outputs[0], loss, bool(state.forward.labels))


def _is_nested(module: nn.Module) -> bool:
    """Say whether a forward of the module, in this thread, is being made inside another one."""
    frame, forwards = sys._getframe(), 0
    while frame is not None:
        if frame.f_code is nn.Module._call_impl.__code__ and frame.f_locals["self"] is module:
            forwards += 1
        frame = frame.f_back
    return forwards > 1


def _end_interrupted(state: Consistent, module: nn.Module, noise: Noise) -> None:
    """End a step of this thread whose forward was interrupted, after which torch runs no hook."""
    step = state.running
    if step is None or step.thread != get_ident() or _is_nested(module):
        return
    state.running = None
    _close(state, step)
    if module.__dict__.get(INSTALLATION) is not None:
        # The plan's hook on the root took the pass for one that is still held.
        noise.begin(module.training, module)


def _close(state: Consistent, step: StepRun) -> None:
    """End the passes of a step, also after an error."""
    if state.head.lazy_head is not None:
        state.head.end()
    step.run.close()


def _refuse(kwargs: Mapping[str, Any]) -> None:
    """Refuse to train in a way in which the term could not be there: a fused head or a replica."""
    if kwargs.get(FUSED):
        raise ObjectiveError(
            "this trainer asks the model for a fused head, which keeps no scores to compare\n"
            "  use the trainer of dropsmith.adapters.trl, which takes the model's own loss"
        )
    raise ViewError(
        "nn.DataParallel copies the model at every step, and its copies do not count steps\n"
        "  use DistributedDataParallel, also with several devices on one machine"
    )


def _begin(
    state: Consistent, module: nn.Module, noise: Noise, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Count the step, begin its first pass, and return the arguments of forward."""
    if state.calls is not None:
        state.calls.end()
        state.calls = None
    if module.__dict__.get(INSTALLATION) is None:
        # Without a plan no hook on the root counts its forwards.
        if noise.weights_loaded and state.objective.depends_on_step:
            noise.warn_if_loaded()
        noise.clock.begin(training=True)
    state.log.find()
    number = noise.clock.numbers[0]
    items = kwargs.get(ITEMS)
    kwargs = {name: value for name, value in kwargs.items() if name != ITEMS}
    if state.forward.labels is None:
        state.forward = replace(state.forward, labels=takes_labels(module, args, kwargs))
    names = position_names(state.forward.names, len(args))
    batch = {**dict(zip(names, args, strict=True)), **kwargs}
    if isinstance(state.loss, LabelledLoss):
        state.loss.labels(batch)
    if not state.forward.labels or (
        state.labels_are_optional and state.first.over and not state.first.auxiliary
    ):
        # No labels once the model's own loss is known to equal ours.
        kwargs.pop("labels", None)
    views = state.objective.views_at(number)
    request = state.requests.get(views) or state.request(views)
    run = plan_run(module, request, Arguments(args, kwargs), batch, noise, names)
    run.step = number
    state.running = StepRun(run, items, get_ident())
    if run.trunk is not None:
        state.head.leave_plain(module, noise.rank)
    elif state.first.over and not state.head.off:
        state.head.begin(module, noise.rank)
    return tuple(run.begin(None if request.reads is None else state.reader_for(module, run)))


def _loss(state: Consistent, step: StepRun, views: Views) -> Tensor:
    counting, is_fused = Counting(state.loss), state.head.lazy_head is not None
    scores = views.logits if is_fused else ()
    terms = state.objective.terms(views, counting)
    if is_fused:
        state.head.judge(scores, step.run.noise.rank)
    if state.first.auxiliary and isinstance(state.loss, LabelledLoss):
        extra = auxiliary_term(views, state.loss, step.run.together)
        terms = terms if extra is None else terms | {AUXILIARY: extra}
    state.terms = {name: term.detach() for name, term in terms.items()}
    state.log.note(state.terms)
    if step.items is not None and state.objective.reads_unlabelled:
        terms = scale_with_unlabelled(terms, step.items, counting, state.log.total_weight)
    elif step.items is not None:
        terms = scale_to_accumulated_batch(terms, step.items, counting, state.log.total_weight)
    elif state.objective.reads_unlabelled:
        # Rows without a label fall unevenly on processes.
        terms = with_mean_counts(terms)
    assert step.run.step is not None
    loss = state.objective.total(terms, step.run.step)
    return loss + terms[AUXILIARY].value if AUXILIARY in terms else loss


def _with_loss(output: Any, loss: Tensor, takes_labels: bool) -> Any:
    if isinstance(output, Mapping) and hasattr(output, "to_tuple"):
        return type(output)(**{**output, "loss": loss})
    if isinstance(output, Mapping):
        return {**output, "loss": loss}
    if isinstance(output, tuple) and takes_labels:
        scalar = isinstance(output[0], Tensor) and output[0].ndim == 0
        return (loss, *output[1:]) if scalar else (loss, *output)
    return ConsistentOutput(loss=loss, logits=output)


def _as_forward_takes(state: Consistent, args: Any, kwargs: dict[str, Any]) -> Any:
    """Leave out labels and item counts that forward does not take: trainers give them always."""
    takes = {"labels": state.forward.labels is not False, ITEMS: state.forward.items}
    extra = {name for name in kwargs if not takes.get(name, True)}
    return (args, {k: v for k, v in kwargs.items() if k not in extra}) if extra else None


def _warn_of_eval(state: Consistent, kwargs: dict[str, Any]) -> None:
    if kwargs.get("labels") is not None and not state.has_warned:
        state.has_warned = True
        warnings.warn(
            "a consistent model was given labels with gradients on while in eval mode: the term is "
            "off, and so is dropout\n  call model.train() (from_pretrained returns eval mode, and "
            "some trainers leave it)",
            stacklevel=2,
        )
