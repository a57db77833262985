"""`consistent` hooks an objective into a model: same object back, its loss now with the term.

A hook before the root's forward stacks the batch, a hook after it adds the term and cuts the
outputs to view 0. Nothing is wrapped, so `forward`, its signature, `state_dict`, `generate` and
`save_pretrained` stay what they were; in eval mode and without gradients the hooks do nothing.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from torch import Tensor, nn

from dropsmith.consistency.accumulation import reset_trainer_attributes, set_trainer_attributes
from dropsmith.consistency.head import HeadChoice
from dropsmith.consistency.loss_watch import CallWatch
from dropsmith.consistency.signature import Signature
from dropsmith.consistency.state import Consistent
from dropsmith.consistency.task_loss import LabelledLoss, Problem, labels_are_optional, task_loss
from dropsmith.errors import ModelError, NoiseError, ObjectiveError, PlanError, ViewError, excerpt
from dropsmith.instances import check_model
from dropsmith.noise import (
    ATTRIBUTE,
    Noise,
    RowAxes,
    axes_said,
    find_noise,
    installation_of,
    plan_of,
    taking_turns,
    watch_loading,
)
from dropsmith.numbers import check_whole
from dropsmith.objectives import LossFunction, Objective, check_objective
from dropsmith.passes import Scores, check_scores, upper
from dropsmith.plans import Plan, check_plan
from dropsmith.rng import Key
from dropsmith.terms import Mean

STATE = "_dropsmith_consistent"
Model = TypeVar("Model", bound=nn.Module)


@taking_turns
def consistent(
    model: Model,
    objective: Objective,
    *,
    loss: LossFunction | Problem | None = None,
    plan: Plan | None = None,
    mode: Literal["auto", "looped"] = "auto",
    trunk: str | None = None,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | Tensor | None = None,
    head: HeadChoice = "auto",
    rows: RowAxes | None = None,
    scores: Scores | None = None,
    seed: int = 0,
    rank: int = 0,
) -> Model:
    """Replace a model's training loss by that of an objective, for any trainer that uses it.

    In train mode with gradients on, a call of the model makes the objective's views, and the loss
    that it returns is the mean task loss over them plus the weighted consistency term. It needs
    `labels` then. A Hugging Face model returns its own output with the new loss; in the first step
    its own loss is compared with the task loss. A plain module returns a `ConsistentOutput`, and
    need not take labels itself. In eval mode, or without gradients, nothing changes.

    Given `num_items_in_batch`, the loss is this batch's part of the mean over that many items, for
    trainers that accumulate gradients. The Trainers of transformers and Lightning log the terms. A
    warning says where training does not go through the returned loss.

    >>> import torch
    >>> from dropsmith.objectives import RDrop
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    >>> net = consistent(net, RDrop(alpha=1), loss="classification")
    >>> net(torch.ones(4, 3), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    >>> restore(net)(torch.ones(4, 3)).shape
    torch.Size([4, 2])

    Args:
        model: the root module, before it is given to DistributedDataParallel or Accelerate.
        objective: the number of views and the consistency term, such as `RDrop(alpha=1)`.
        loss: the task's loss, needed unless this is a Hugging Face task model: `classification`,
            `soft_classification`, `tokens`, `causal`, `regression`, `multi_label` or `spans` for
            that loss of the logits against `labels`; or a function of what the model returned for
            one view and of that view's batch (arguments by name, with `labels`) that returns a
            `Loss`.
        plan: a plan to install as well; `restore` removes it.
        mode: `looped` for one forward per view, as where BatchNorm should see each by itself;
            `auto` for all views in one forward where that can be done, see `dropsmith.views`.
        trunk: name of the first module that the views do not share: all before it, its noise
            included, runs once for all of them. In an encoder-decoder it may stand in either. An
            objective that compares layers has nothing to compare below: agreement there is exactly
            0, and is counted in no mean.
        label_smoothing: the share of each target that is spread over all classes, in [0, 1); the
            term compares the outputs as they are. A trainer's own setting takes the labels away.
        class_weights: a weight for each class, for tasks with one class among several; the mean
            task loss is Σ w(y) loss / Σ w(y), as that of `torch.nn.functional.cross_entropy`. In
            the term every item counts the same.
        head: `auto` to fuse a large plain head with its loss where that can be done, from the
            second step on, which one line on standard error says; the logits in the output are
            then made if somebody looks at them, which has to be before the optimiser's step.
            `fused` to make it an error where that cannot be done; `plain` to leave the head be.
        rows: the axes on which arguments have their rows, by name, where somebody says them; None
            for an argument without rows, as in `{"mask": None}`. Otherwise they are found by
            running the model on a few rows, when a kind of batch is met for the first time.
        scores: the place of the scores in what the model returns: a name, an index, or a function
            of the output, as in `scores="prediction_logits"`; by default a tensor, `.logits`,
            `["logits"]`, or the first floating tensor of a tuple.
        seed: of the plan's masks.
        rank: of this process, for the plan's masks.

    Raises:
        ModelError: there is no model.
        PlanError: the model is consistent already, or `plan` is none.
        ObjectiveError: `objective` is none, a setting of the loss is out of range, or the task
            loss is not known; in training, labels are missing, or the loss that a Hugging Face
            model computes is another one than was inferred.
        ViewError: in the first training step, the views are identical: no noise is on; or the
            head was to be fused and cannot be.
    """
    _check_order(model, objective)
    if STATE in model.__dict__:
        raise PlanError("this model is consistent already\n  undo it first: restore(model)")
    _check_settings(mode, trunk, rows, scores, seed, rank)
    check_objective(objective, "consistent takes an objective")
    if plan is not None:
        check_plan(plan, "consistent takes a plan, or None")
    _check_trunk(model, objective, mode, trunk)
    if trunk is not None and head == "fused":
        raise ViewError("a fused head needs whole views\n  leave out trunk, or head")
    loss = task_loss(loss, model, label_smoothing, scores, class_weights)
    _check_kind(objective, loss)
    state = Consistent(objective, loss, Signature.of(model), mode, trunk, rows, head)
    state.labels_are_optional = labels_are_optional(loss, model)
    state.scores = scores
    if plan is not None:
        plan.install(model, seed=seed, rank=rank)
        state.plan = plan
    _own_noise(model, state, seed, rank)
    model.__dict__[STATE] = state
    _hook(model, state)
    state.calls = CallWatch(model.parameters())
    set_trainer_attributes(model, state)
    return model


@taking_turns
def restore(model: Model) -> Model:
    """Take off what `consistent` put on; the model is then as it was.

    >>> restore(nn.Linear(2, 2))
    Traceback (most recent call last):
    dropsmith.errors.PlanError: this model is not consistent: there is nothing to restore
    """
    check_model(model)
    state: Consistent | None = model.__dict__.pop(STATE, None)
    if state is None:
        raise PlanError("this model is not consistent: there is nothing to restore")
    for handle in state.handles:
        handle.remove()
    if state.calls is not None:
        state.calls.end()
    reset_trainer_attributes(model, state)
    _give_noise_back(model, state)
    if state.plan is not None and plan_of(model) == state.plan:
        state.plan.remove(model)
    return model


def terms_of(model: nn.Module) -> dict[str, Mean]:
    """Sum and count of each term in the last training forward, without their graph.

    Args:
        model: a consistent model, also inside DistributedDataParallel.
    """
    check_model(model)
    state = next((m.__dict__[STATE] for m in model.modules() if STATE in m.__dict__), None)
    if state is None:
        raise PlanError("this model is not consistent: call consistent(model, objective) first")
    return dict(state.terms)


def _check_order(model: Any, objective: Any) -> None:
    if isinstance(model, Objective) and isinstance(objective, nn.Module):
        raise ModelError("the model comes first\n  write consistent(model, objective)")
    check_model(model)


def _check_settings(
    mode: object, trunk: object, rows: Any, scores: object, seed: Any, rank: object
) -> None:
    """Refuse settings of the wrong type, which would otherwise fail in the first step."""
    if mode not in ("auto", "looped"):
        raise ViewError(f"mode must be 'auto' or 'looped', got {excerpt(mode)}")
    if not isinstance(trunk, str | None):
        raise ViewError(f"trunk must be the name of a module, or None, got {excerpt(trunk)}")
    axes_said(rows)
    check_scores(scores)
    Key.of(seed)  # which refuses what is no seed
    check_whole("rank", rank, 0, NoiseError)


def _check_trunk(model: nn.Module, objective: Objective, mode: str, trunk: str | None) -> None:
    if trunk is None:
        return
    if mode == "looped" or objective.noise_free or objective.batch_fraction < 1:
        raise ViewError(
            "views that share a trunk are stacked above it, over the whole batch and all noisy\n"
            "  leave out trunk, or leave out mode, batch_fraction and objectives with a noise-free "
            "view"
        )
    upper(model, trunk)


def _check_kind(objective: Objective, loss: LossFunction) -> None:
    """Refuse an objective over classes for values or separate labels, which are no distribution."""
    if not isinstance(loss, LabelledLoss) or not (kind := getattr(objective, "kind", None)):
        return
    task_kind = loss.problem if loss.problem in ("regression", "multi_label") else kind
    if kind != task_kind:
        raise ObjectiveError(
            f'the task is {loss.problem}, {objective} compares {kind}\n  set kind="{task_kind}"'
        )


def _hook(model: nn.Module, state: Consistent) -> None:
    from dropsmith.consistency.hooks import after, before

    # Partial functions, so that a consistent model can be pickled and deep-copied.
    ending = partial(after, state)
    ending.last = True  # pyright: ignore - a plan that is installed later hooks in before it
    state.handles = [
        model.register_forward_pre_hook(partial(before, state), prepend=True, with_kwargs=True),
        model.register_forward_hook(ending, with_kwargs=True, always_call=True),
        watch_loading(model, model.__dict__[ATTRIBUTE]),
    ]
    if (installation := installation_of(model)) is not None:
        # The pass of the plan has to begin before we stack what it will see.
        model._forward_pre_hooks.move_to_end(installation.handles[0].id, last=False)  # pyright: ignore


def _own_noise(model: nn.Module, state: Consistent, seed: int, rank: int) -> None:
    """Keep the noise's counters on the root as long as the model is consistent.

    A plan may come and go meanwhile; it must neither take them along nor leave them behind.
    """
    installation = installation_of(model)
    if installation is None:
        state.had_noise = ATTRIBUTE in model.__dict__
    else:
        state.had_noise, installation.had_noise = installation.had_noise, True
    model.__dict__.setdefault(ATTRIBUTE, find_noise(model) or Noise(seed, rank))


def _give_noise_back(model: nn.Module, state: Consistent) -> None:
    installation = installation_of(model)
    if installation is not None:
        installation.had_noise = state.had_noise
    elif not state.had_noise:
        del model.__dict__[ATTRIBUTE]
