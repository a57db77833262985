"""What a method is: noise in the task's model, what its views should agree on, settings to try."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from dropsmith.compare.saving import NOTHING, Saving
from dropsmith.objectives import Objective
from dropsmith.patterns import Schedule
from dropsmith.sites import Plan
from dropsmith.tasks import Budget, Task

PAIRED = "paired"
"""Stands for the noise that a task names for methods of two views."""

Setting = dict[str, float]
"""One choice of a method's numbers by name, such as `{"rate": 0.3, "alpha": 1.0}`."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of a comparison, before anything is run.

    Args:
        about: what it does, in a line for the report.
        source: the paper the idea is from.
        noise: what kind of noise it places, one of the task's `noises`, or `PAIRED`; None for no
            noise.
        objective: makes the objective from the numbers of a setting that are its own.
        views: how many passes of a batch it trains on.
        kinds: the kinds of task whose outputs its views can agree on.
        blocks: whether it reads Transformer blocks.
        schedule: what the rates of its plan become over a run: made of a rate and the number of
            steps after which it changes, the setting's `share` of all. None for rates that stay.
        told: whether its objective is told the kind where that is not classes.
        saves: what of its further views it does not make.
        settings: what tuning may try. The first is the usual one, the first three span the range,
            and every method has equally many.
    """

    about: str
    source: str
    noise: str | None
    objective: Callable[..., Objective]
    views: int
    settings: tuple[Setting, ...]
    kinds: tuple[str, ...] = ("classes", "values")
    blocks: bool = False
    told: bool = False
    schedule: Callable[[float, int], Schedule] | None = None
    saves: Saving = NOTHING

    def fits(self, task: Task) -> bool:
        """Whether the task's model has a place for the noise, and shows what can be compared."""
        noise = self.noise_in(task)
        placed = noise is None or noise in task.noises
        halved = not self.saves.trunk or task.upper is not None
        return placed and task.kind in self.kinds and (task.blocks or not self.blocks) and halved

    def trunk(self, task: Task) -> str | None:
        """The first module that its views do not share, or None where they share none."""
        return task.upper if self.saves.trunk else None

    def noise_in(self, task: Task) -> str | None:
        """The kind of noise it places in this task's model."""
        return task.paired_noise if self.noise == PAIRED else self.noise

    def plan(self, task: Task, setting: Setting) -> Plan:
        """Where the task's model drops what under a setting, at rates that stay."""
        noise = self.noise_in(task)
        return Plan() if noise is None else task.plan(noise, setting["rate"])

    def scheduled(self, plan: Plan, setting: Setting, steps: int) -> Plan:
        """The plan with its rates on this method's schedule, over a run of so many steps."""
        if self.schedule is None:
            return plan
        after = max(1, round(setting["share"] * steps))
        rules = []
        for one in plan.rules:
            rate = self.schedule(getattr(one.pattern, "rate"), after)  # noqa: B009 - as Pattern does
            rules.append(replace(one, pattern=replace(one.pattern, rate=rate)))  # pyright: ignore
        return Plan(*rules)

    def goal(self, setting: Setting, kind: str = "classes") -> Objective:
        """The objective under a setting, for a task of this kind."""
        own: dict[str, float | str] = {
            name: value for name, value in setting.items() if name not in _NOT_THE_OBJECTIVES
        }
        if self.told and kind != "classes":
            own["kind"] = kind
        return self.objective(**own, **self.saves.settings)

    def budget(self, budget: Budget, setting: Setting) -> Budget:
        """The budget under a setting: only `weight_decay` is ever tuned, and never the length."""
        if "weight_decay" not in setting:
            return budget
        return replace(budget, weight_decay=setting["weight_decay"])


PLAN = "plan"
"""Stands in a setting for which of several plans a method has, counted from 1."""

_NOT_THE_OBJECTIVES = ("rate", "share", "weight_decay", PLAN)


_SHORT = {"weight_decay": "decay"}


def spelled(setting: Setting) -> str:
    """A setting as a reader would write it; `decay` is the weight decay.

    >>> spelled({"rate": 0.3, "alpha": 1.0})
    'rate 0.3, alpha 1'
    """
    return ", ".join(f"{_SHORT.get(name, name)} {value:g}" for name, value in setting.items())
