"""A method: noise in the task's model, an objective over its views, and settings to try."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dropsmith.compare.cost_reduction import NO_REDUCTION, CostReduction
from dropsmith.errors import TaskError, excerpt
from dropsmith.objectives import Objective
from dropsmith.patterns import Schedule
from dropsmith.plans import Plan
from dropsmith.tasks import Budget, Task

PAIRED_NOISE = "paired"
"""Stands for the noise that a task names for methods of two views."""

Setting = dict[str, float]
"""One choice of a method's numbers by name, such as `{"rate": 0.3, "alpha": 1.0}`."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of a comparison, before anything is run.

    Args:
        about: its description, in a line for the report.
        source: the paper the idea is from.
        noise: the kind of noise it places, one of the task's `noises`, or `PAIRED_NOISE`; None for
            no noise.
        objective: makes the objective from the numbers of a setting that are its own.
        views: the number of passes of a batch it trains on.
        kinds: the kinds of task whose outputs its views can agree on.
        blocks: whether it reads Transformer blocks.
        schedule: makes the schedule of a rate of its plan, of the rate and the number of
            steps after which it changes, the setting's `share` of all. None for rates that stay.
        takes_kind: whether its objective takes the kind where that is not classes.
        reduction: the part of its further views that it does not make.
        settings: those that tuning may try. The first is the usual one, the first three span the
            range, and every method has equally many.
    """

    about: str
    source: str
    noise: str | None
    objective: Callable[..., Objective]
    views: int
    settings: tuple[Setting, ...]
    kinds: tuple[str, ...] = ("classification", "regression")
    blocks: bool = False
    takes_kind: bool = False
    schedule: Callable[[float, int], Schedule] | None = None
    reduction: CostReduction = NO_REDUCTION

    def __post_init__(self) -> None:
        if not self.settings or any(set(row) != set(self.settings[0]) for row in self.settings):
            raise TaskError(
                "a method has one or more settings, which all name the same numbers, got "
                f"{excerpt(self.settings)}\n  such as settings=({{'rate': 0.3}}, {{'rate': 0.1}})"
            )
        needed = {"rate"} if self.noise is not None else set()
        needed |= {"share"} if self.schedule is not None else set()
        if missing := needed - set(self.settings[0]):
            name = min(missing)
            raise TaskError(
                f"a method with {'noise' if name == 'rate' else 'a schedule'} has a {name!r} in "
                f"its settings, got {excerpt(self.settings[0])}"
            )

    def fits(self, task: Task) -> bool:
        """True if the task's model has a place for the noise and outputs that can be compared."""
        noise = self.noise_in(task)
        has_place = noise is None or noise in task.noises
        has_trunk = not self.reduction.trunk or task.upper is not None
        return (
            has_place and task.kind in self.kinds and (task.blocks or not self.blocks) and has_trunk
        )

    def trunk(self, task: Task) -> str | None:
        """The first module that its views do not share, or None where they share none."""
        return task.upper if self.reduction.trunk else None

    def noise_in(self, task: Task) -> str | None:
        """The kind of noise it places in this task's model."""
        return task.paired_noise if self.noise == PAIRED_NOISE else self.noise

    def plan(self, task: Task, setting: Setting) -> Plan:
        """The plan of the task's model under a setting, at rates that stay."""
        noise = self.noise_in(task)
        return Plan() if noise is None else task.plan(noise, _number("rate", setting))

    def with_schedule(self, plan: Plan, setting: Setting, steps: int) -> Plan:
        """The plan with its rates on this method's schedule, over a run of so many steps."""
        if self.schedule is None:
            return plan
        steps_until = max(1, round(_number("share", setting) * steps))
        rules = []
        for rule in plan.rules:
            rate = self.schedule(getattr(rule.pattern, "rate"), steps_until)  # noqa: B009 - as Pattern does
            rules.append(replace(rule, pattern=replace(rule.pattern, rate=rate)))  # pyright: ignore
        return Plan(*rules)

    def goal(self, setting: Setting, kind: str = "classification") -> Objective:
        """The objective under a setting, for a task of this kind."""
        arguments: dict[str, float | str] = {
            name: value for name, value in setting.items() if name not in _NOT_THE_OBJECTIVES
        }
        if self.takes_kind and kind != "classification":
            arguments["kind"] = kind
        return self.objective(**arguments, **self.reduction.settings)

    def budget(self, budget: Budget, setting: Setting) -> Budget:
        """The budget with the weight decay and the learning rate of a setting; its length stays."""
        tuned = {name: setting[name] for name in _OF_THE_BUDGET if name in setting}
        return replace(budget, **tuned)  # pyright: ignore[reportArgumentType] - names of numbers


def _number(name: str, setting: Setting) -> float:
    """A number of a setting that may come from a file; `TaskError` where it has none."""
    if name not in setting:
        raise TaskError(f"a setting of this method has a {name!r}, got {excerpt(setting)}")
    return setting[name]


PLAN = "plan"
"""Stands in a setting for the number of one of a method's several plans, from 1."""

LEARNING_RATE = "learning_rate"
"""Stands in a setting for the learning rate, where a comparison tries several."""

_OF_THE_BUDGET = ("weight_decay", LEARNING_RATE)

_NOT_THE_OBJECTIVES = ("rate", "share", PLAN, *_OF_THE_BUDGET)


def spell_setting(setting: Setting) -> str:
    """A setting as a reader would write it.

    >>> spell_setting({"rate": 0.3, "weight_decay": 0.01})
    'rate 0.3, weight decay 0.01'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in setting.items())
