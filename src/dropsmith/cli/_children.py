"""The children of a search, as a task or a recipe has them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.cli._recipe import LIST, is_recipe, recipe_search
from dropsmith.cli._values import budget_of, find
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.tasks import Task
    from dropsmith.train import Setup

TRIALS, SAMPLER = 40, "controller"
"""Where neither the command nor a recipe says how many; what proposes them, where it does not."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed: see the options of `dropsmith search`."""

    task: str
    preset: str | None
    trials: int | None
    sampler: str | None
    pruner: str | None
    space: str
    seeds: int
    seed: int
    beside: str | None
    budget: str
    batch_size: int | None
    learning_rate: float | None
    data: Path | None
    model: str | None
    limit: int | None
    precision: str

    @property
    def where(self) -> str | None:
        """The data's place as a word."""
        return None if self.data is None else str(self.data)

    @property
    def decided(self) -> dict[str, object]:
        """What a recipe decides, each with whether it was typed."""
        return {
            "--budget": self.budget != "full",
            "--model": self.model,
            "--limit": self.limit,
            "--plan": self.beside,
            "--batch-size": self.batch_size,
            "--learning-rate": self.learning_rate,
            "--space": self.space != "auto",
            "--seeds-per-plan": self.seeds != 1,
        }

    @property
    def words(self) -> tuple[str, ...]:
        """What means a recipe's search again: its name, and what was not as usual."""
        options = {
            "--preset": self.preset,
            "--trials": self.trials,
            "--sampler": self.sampler,
            "--pruner": self.pruner,
            "--precision": None if self.precision == "no" else self.precision,
            "--seed": self.seed or None,
        }
        given = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
        return (self.task, *given)


@dataclass(frozen=True, kw_only=True)
class Children:
    """What is searched on.

    Args:
        task, setup: the task, and the run of every child.
        name: of the search, which its folder has.
        trials, sampler, seeds, space: of `learn`.
        typed: the words that mean a recipe's search again.
    """

    task: "Task"
    setup: "Setup"
    name: str
    trials: int
    sampler: str
    seeds: int
    space: str
    typed: tuple[str, ...] = ()


def children_of(asked: Asked) -> Children:
    """The children of a search.

    Raises:
        TaskError: there is no such task or recipe, or it was given what a recipe decides.
    """
    if is_recipe(asked.task):
        return _of_recipe(asked)
    if asked.preset is not None:
        raise TaskError(f"--preset is of recipes, and {asked.task} is a task\n  {LIST}")
    return _of_task(asked)


def _of_recipe(asked: Asked) -> Children:
    proxy = recipe_search(asked.task, asked.preset, asked.decided)
    return Children(
        task=find(proxy.task, asked.data, proxy.model),
        setup=replace(proxy.setup(asked.where), precision=asked.precision),
        name=asked.task.replace("/", "-"),
        trials=asked.trials or proxy.trials,
        sampler=asked.sampler or proxy.sampler,
        seeds=proxy.seeds,
        space=proxy.space,
        typed=asked.words,
    )


def _of_task(asked: Asked) -> Children:
    task = find(asked.task, asked.data, asked.model)
    return Children(
        task=task,
        setup=_child(asked, task),
        name=Path(asked.task).name,
        trials=asked.trials or TRIALS,
        sampler=asked.sampler or SAMPLER,
        seeds=asked.seeds,
        space=asked.space,
    )


def _child(asked: Asked, task: "Task") -> "Setup":
    """The run of every child, with the plan at a place beside what is searched."""
    from dropsmith.learn import child_setup
    from dropsmith.sites import Plan

    length, examples = budget_of(
        task,
        asked.budget,
        asked.limit,
        asked.data,
        batch_size=asked.batch_size,
        learning_rate=asked.learning_rate,
    )
    return child_setup(
        task,
        length,
        data=asked.where,
        model=asked.model,
        limit=examples,
        precision=asked.precision,
        fixed_plan=None if asked.beside is None else Plan.load(asked.beside),
    )
