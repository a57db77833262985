"""The children of a search, from a task or a recipe."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.cli._recipe import LIST, is_recipe, recipe_search
from dropsmith.cli._values import budget_of, find
from dropsmith.errors import TaskError

if TYPE_CHECKING:
    from dropsmith.tasks import DataOptions, Task
    from dropsmith.train import Setup

TRIALS, SAMPLER = 40, "controller"
"""The default number of trials and the default sampler."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options of `dropsmith search`."""

    task: str
    preset: str | None
    trials: int | None
    sampler: str | None
    pruner: str | None
    space: str
    seeds: int
    seed: int
    extra_plan: str | None
    budget: str
    batch_size: int | None
    learning_rate: float | None
    data: Path | None
    data_options: "DataOptions | None"
    model: str | None
    limit: int | None
    precision: str

    @property
    def data_place(self) -> str | None:
        """The path of the data as text."""
        return None if self.data is None else str(self.data)

    @property
    def fixed_options(self) -> dict[str, object]:
        """The options that a recipe sets itself, and whether each was typed."""
        return {
            "--budget": self.budget != "full",
            "--model": self.model,
            "--limit": self.limit,
            "--plan": self.extra_plan,
            "--batch-size": self.batch_size,
            "--learning-rate": self.learning_rate,
            "--space": self.space != "auto",
            "--seeds-per-plan": self.seeds != 1,
        }

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command of a recipe's search: its name and its changed options."""
        options = {
            "--preset": self.preset,
            "--trials": self.trials,
            "--sampler": self.sampler,
            "--pruner": self.pruner,
            "--precision": None if self.precision == "no" else self.precision,
            "--seed": self.seed or None,
        }
        words = [str(word) for pair in options.items() if pair[1] is not None for word in pair]
        return (self.task, *words)


@dataclass(frozen=True, kw_only=True)
class Children:
    """The task and the setup of the children of a search.

    Args:
        task, setup: the task, and the setup of every child.
        name: of the search, for its folder.
        trials, sampler, seeds, space: as in `learn`.
        command: the words of the command of a recipe's search.
    """

    task: "Task"
    setup: "Setup"
    name: str
    trials: int
    sampler: str
    seeds: int
    space: str
    command: tuple[str, ...] = ()


def children_of(options: SearchOptions) -> Children:
    """The children of a search.

    Raises:
        TaskError: there is no such task or recipe, or an option is set by the recipe itself.
    """
    if is_recipe(options.task):
        return _of_recipe(options)
    if options.preset is not None:
        raise TaskError(f"--preset belongs to recipes, and {options.task} is a task\n  {LIST}")
    return _of_task(options)


def _of_recipe(options: SearchOptions) -> Children:
    proxy = recipe_search(options.task, options.preset, options.fixed_options)
    task = find(proxy.task, options.data, proxy.model, options.data_options)
    return Children(
        task=task,
        setup=replace(
            proxy.setup(options.data_place),
            precision=options.precision,
            data_options=task.data_options,
        ),
        name=options.task.replace("/", "-"),
        trials=options.trials or proxy.trials,
        sampler=options.sampler or proxy.sampler,
        seeds=proxy.seeds,
        space=proxy.space,
        command=options.words,
    )


def _of_task(options: SearchOptions) -> Children:
    task = find(options.task, options.data, options.model, options.data_options)
    return Children(
        task=task,
        setup=_child(options, task),
        name=Path(options.task).name.replace(":", "-"),
        trials=options.trials or TRIALS,
        sampler=options.sampler or SAMPLER,
        seeds=options.seeds,
        space=options.space,
    )


def _child(options: SearchOptions, task: "Task") -> "Setup":
    """The setup of every child, with the rules of --plan."""
    from dropsmith.learn import child_setup
    from dropsmith.plans import Plan

    length, examples = budget_of(
        task,
        options.budget,
        options.limit,
        options.data,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
    )
    return child_setup(
        task,
        length,
        data=options.data_place,
        model=options.model,
        limit=examples,
        precision=options.precision,
        fixed_plan=None if options.extra_plan is None else Plan.load(options.extra_plan),
    )
