"""Methods of the user's own, by the reference `module:name` to a method or an objective."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from dropsmith.compare.method import PAIRED_NOISE, Method, Setting
from dropsmith.errors import DropsmithError, TaskError
from dropsmith.objectives import ConsistencyObjective, Objective
from dropsmith.passes import views
from dropsmith.tasks import Data, Task
from dropsmith.train import Setup
from dropsmith.user_code import fault_line, import_object, instance_of

_STEPS = 1000
"""Steps that are looked at for one in which an objective has more than one view."""


def user_method(reference: str, rates: tuple[float, ...]) -> Method:
    """The method of a reference; an objective becomes the method that adds the task's paired noise.

    An objective's fields of type `float` are numbers of the method, at their defaults.

    Args:
        reference: `module:name` of a `Method`, or of an objective or its class.
        rates: the rates of a method that is made of an objective.

    Raises:
        TaskError: there is none, or it is something else.
    """
    value = import_object(reference, "method")
    value = instance_of(value, reference, (Method, Objective), "method")
    return value if isinstance(value, Method) else _of_objective(value, reference, rates)


def method_of_value(value: Any, reference: str, rates: tuple[float, ...]) -> Method | None:
    """The method of an object that is at hand; None where it is none."""
    try:
        value = instance_of(value, reference, (Method, Objective), "method")
    except TaskError:
        return None
    return value if isinstance(value, Method) else _of_objective(value, reference, rates)


def _of_objective(objective: Objective, reference: str, rates: tuple[float, ...]) -> Method:
    numbers = _numbers(objective)
    names = {field.name for field in fields(objective)} if is_dataclass(objective) else set()

    def make(**changes: Any) -> Objective:
        return replace(objective, **changes) if changes else objective

    doc = (type(objective).__doc__ or "").strip().partition("\n")[0]
    generated = doc.startswith(f"{type(objective).__name__}(")  # by dataclass
    return Method(
        about=(doc if doc and not generated else repr(objective)).rstrip("."),
        source=f"your own code, {reference}",
        noise=PAIRED_NOISE,
        objective=make,
        views=max(objective.views_at(step) for step in range(1, _STEPS + 1)),
        settings=tuple({"rate": rate} | numbers for rate in rates),
        blocks=objective.reads is not None,
        takes_kind="kind" in names,
    )


def _numbers(objective: Objective) -> Setting:
    """The fields that can be set as numbers, without those that every consistency term has."""
    inherited = {field.name for field in fields(ConsistencyObjective)}
    return {
        field.name: float(getattr(objective, field.name))
        for field in fields(objective)
        if field.name not in inherited and field.type in (float, "float")
    }


def try_objective(reference: str, setup: Setup, task: Task, data: Data) -> None:
    """Compute one loss over two examples, so that errors in it come before any run.

    Raises:
        DropsmithError: it cannot be made, with the line where it is the user's code that failed.
    """
    objective = setup.objective
    step = next((s for s in range(1, _STEPS + 1) if objective.views_at(s) > 1), 1)
    count = objective.views_at(step)
    try:
        with torch.random.fork_rng(devices=[]):
            model, batch = task.model(data).train(), data.train.rows(slice(0, 2))
            with setup.plan.installed(model, batch):
                step_views = views(
                    model,
                    batch,
                    count,
                    noise_free=tuple(view for view in objective.noise_free if view < count),
                    reads=objective.reads if count > 1 else None,
                    trunk=setup.trunk if count > 1 else None,
                )
                total = objective.total(objective.terms(step_views, task.loss), step)
    except DropsmithError:
        raise
    except Exception as error:  # the user's own code, whatever it does
        raise TaskError(
            f"{reference} failed over two examples: {type(error).__name__}: {error}"
            f"{fault_line(error)}"
        ) from error
    if not isinstance(total, torch.Tensor) or total.numel() != 1:
        raise TaskError(f"{reference}: total() returns one number to minimise, a scalar tensor")
