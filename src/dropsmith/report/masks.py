"""Masks over real inputs: those that a plan draws, read from the model while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.noise import sites
from dropsmith.plans import Assignment, Plan, Rule, Site, assign
from dropsmith.tasks import Data, Split, Task

RATE = 0.3
"""All patterns are drawn at one rate, so that only their shapes differ."""

_NOT_ZERO = 1e-6
_ENOUGH = 16
"""Words an example should have to be shown."""


@dataclass(frozen=True, kw_only=True)
class MaskExample:
    """One kind of noise at the first site that has it.

    Args:
        noise: its name in the task's plans.
        rule: the rule that placed it.
        site: its place in the model.
        axes: the names of the dimensions, `?` where unknown.
        values: the output of the site, its first dimension the rows of the batch (or a parameter).
        drops: which of them were dropped: exactly zero, though zero was not what came in.
    """

    noise: str
    rule: Rule
    site: Site
    axes: tuple[str, ...]
    values: Tensor
    drops: Tensor


def mask_examples(
    task: Task, data: Data, rows: int = 3
) -> tuple[dict[str, Tensor], list[MaskExample]]:
    """Some validation examples, and each noise of the task over them.

    The plan is installed on a new model of the task and the model run once; nothing is drawn
    for show.
    """
    return method_mask_examples(task, data, {n: task.plan(n, RATE) for n in task.noises}, rows)


def method_mask_examples(
    task: Task, data: Data, plans: Mapping[str, Plan], rows: int = 3
) -> tuple[dict[str, Tensor], list[MaskExample]]:
    """Some validation examples, and the plan of each method over them, at the first site it has."""
    batch = examples(data, rows)
    drawn = (_first_example(task, data, batch, plan, name) for name, plan in plans.items())
    return batch, [example for example in drawn if example is not None]


def examples(data: Data, rows: int = 3) -> dict[str, Tensor]:
    """Some validation examples that there is something to see on."""
    return data.validation.rows(_full(data)[:rows])


def _full(data: Data) -> Tensor:
    """Validation examples in order, those first that are not mostly padding."""
    part = data.validation
    rows = torch.arange(len(part))
    if not isinstance(part, Split) or not part.padded_columns:
        return rows
    words = (part.columns[part.padded_columns[0]] != 0).sum(1)
    return rows[torch.argsort((words < _ENOUGH).long(), stable=True)]


def _first_example(
    task: Task, data: Data, batch: Mapping[str, Tensor], plan: Plan, name: str
) -> MaskExample | None:
    """The plan at the first place whose values can be read; None where it has no such place."""
    model = _new_model(task, data)
    places = (
        place
        for place in assign(plan.rules, sites(model, batch))
        if place.site.kind in ("output", "input", "weight", "words")
    )
    first = next(places, None)
    return None if first is None else _at(model, plan, first, batch, name)


def plan_mask_examples(
    task: Task, data: Data, batch: Mapping[str, Tensor], plan: Plan, name: str, limit: int
) -> list[MaskExample]:
    """The masks of a plan's rules over a batch, each at the first site it means.

    Args:
        task, data: of the new model.
        batch: its input.
        plan: the plan, installed and run once.
        name: its name in the picture.
        limit: the most rules that are shown.
    """
    model = _new_model(task, data)
    first: dict[Rule, Assignment] = {}
    for assignment in assign(plan.rules, sites(model, batch)):
        if assignment.site.axes and assignment.site.kind in ("output", "input"):
            first.setdefault(assignment.rule, assignment)
    return [
        _at(model, plan, assignment, batch, name) for assignment in list(first.values())[:limit]
    ]


def _at(
    model: nn.Module, plan: Plan, assignment: Assignment, batch: Mapping[str, Tensor], name: str
) -> MaskExample:
    values = _at_site(model, plan, assignment.site, batch)
    return MaskExample(
        noise=name,
        rule=assignment.rule,
        site=assignment.site,
        axes=_axes(assignment.site, values),
        values=values,
        drops=values == 0,
    )


def _new_model(task: Task, data: Data) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return task.model(data)


def _at_site(model: nn.Module, plan: Plan, site: Site, batch: Mapping[str, Tensor]) -> Tensor:
    """The tensor behind the noise; what came in had its zeros replaced by something tiny."""
    module = model if site.owner == "root" else model.get_submodule(site.owner)
    outputs: list[Tensor] = []
    name = site.name.rpartition(".")[2]

    def fill(m: nn.Module, args: Any, output: Any = None) -> Any:
        if site.kind == "input":
            return (_without_zeros(args[0]), *args[1:])
        return _without_zeros(output) if isinstance(output, Tensor) else None

    def read(m: nn.Module, args: Any, output: Any = None) -> None:
        readers = {"input": lambda: args[0], "weight": lambda: getattr(m, name)}
        outputs.append(readers.get(site.kind, lambda: output)().detach())

    def hook(function: Any) -> None:
        is_pre = site.kind in ("input", "weight")
        add = module.register_forward_pre_hook if is_pre else module.register_forward_hook
        add(function)

    if site.kind != "weight":
        hook(fill)
    with plan.installed(model, seed=_SEED), torch.no_grad():
        hook(read)
        model.train()
        model(**{key: value for key, value in batch.items() if key != "labels"})
    return outputs[0]


_SEED = 1


def _without_zeros(x: Tensor) -> Tensor:
    return torch.where(x == 0, _NOT_ZERO, x)


def _axes(site: Site, values: Tensor) -> tuple[str, ...]:
    if site.axes:
        return site.axes
    by_dimensions = {2: ("batch", "unit"), 3: ("batch", "time", "unit")}
    return by_dimensions.get(values.ndim, ("?",) * values.ndim)
