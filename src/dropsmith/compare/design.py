"""The design of a comparison, as a value: its methods, seeds, trials and budget."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from dropsmith.compare.budget_rule import PATIENCE, Rule, budget_by_rule, check_rule
from dropsmith.compare.comparison import Trial
from dropsmith.compare.method import LEARNING_RATE, PLAN, Method, Setting
from dropsmith.compare.method_names import find_method, full, is_method
from dropsmith.compare.methods import MAX_TRIALS
from dropsmith.compare.user_methods import try_objective
from dropsmith.errors import ArgumentError, TaskError, did_you_mean, excerpt
from dropsmith.instances import check_type
from dropsmith.numbers import check_number, check_whole, is_count
from dropsmith.objectives import TaskLoss
from dropsmith.passes import upper
from dropsmith.plans import Kind, Plan
from dropsmith.tasks import Budget, Data, Task
from dropsmith.train import Setup, Start, check_kinds, steps_of, task_and_data, training_part
from dropsmith.user_code import is_reference

TUNING_SEED = 1_000_000
"""The first seed of every trial, from which the others count up. None of them is reported:
reported seeds count up from zero."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """The design of a comparison: the same seeds, trials, examples and budget rule for all.

    Args:
        task: the task itself.
        methods: canonical names, in the order of the table; see `methods.pick`. Those of `plans`
            stand among them.
        seeds: the number of reported seeds, counted from 0.
        trials: the number of its settings that each method tries.
        rates: the rates of these trials, in their order, for every method that has a rate; the
            method's where there are none. Everything else that is tuned stays as it is.
        learning_rates: the learning rates of these trials, in their order, for every method and
            plan; the budget's where there are none.
        tuning_seeds: the number of seeds each setting is tried on; the least mean validation
            loss over them is chosen.
        budget: epochs of a one-view method, batch size, optimiser settings.
        data, model, limit, precision: as in `Setup`.
        samples, samples_without: as in `Setup`, for the reported runs of methods with noise.
        samples_of: of these methods alone, or of all where there are none.
        plans: plans that are methods themselves, such as a learned one, by their names. They
            hold their rates, so nothing of one is tuned; of several under one name the first
            `trials` are tried, and the best on validation is the method's plan.
        plans_seen: the number of tuning seeds by which several plans of a name were chosen
            before. They are tried on those after, where none has been lucky yet.
        start: weights that every run begins with, trials too; None for those that its seed draws.
        equal: the budget rule: `views`, `updates` or `converged`; see `budget_by_rule`.
        patience: of runs to convergence, in evaluations.
        labels, unlabelled, unlabelled_ratio: as in `Setup`, for every method. Those that count
            examples without a label read them, and the others do not.
    """

    task: Task
    methods: tuple[str, ...]
    budget: Budget
    seeds: int = 3
    trials: int = 3
    rates: tuple[float, ...] = ()
    learning_rates: tuple[float, ...] = ()
    tuning_seeds: int = 2
    data: str | None = None
    model: str | None = None
    limit: int | None = None
    precision: str = "no"
    samples: int = 0
    samples_without: tuple[Kind, ...] = ()
    samples_of: tuple[str, ...] = ()
    plans: tuple[tuple[str, Plan | tuple[Plan, ...]], ...] = ()
    plans_seen: int = 0
    start: Start | None = None
    equal: Rule = "views"
    patience: int = PATIENCE
    labels: int | None = None
    unlabelled: str | None = None
    unlabelled_ratio: int = 1

    def __post_init__(self) -> None:
        check_type("task", self.task, Task, "a task, such as find_task('digits')")
        check_type("budget", self.budget, Budget, "a Budget")
        check_names("methods", self.methods)
        check_names("samples_of", self.samples_of)
        check_type("rates", self.rates, tuple, "a tuple of numbers")
        check_type("learning_rates", self.learning_rates, tuple, "a tuple of numbers")
        check_whole("seeds", self.seeds, 1, TaskError, TUNING_SEED - 1)
        check_whole("tuning_seeds", self.tuning_seeds, 1, TaskError, TUNING_SEED)
        check_rule(self.equal, self.patience)
        check_whole("plans_seen", self.plans_seen, 0, TaskError)
        for rate in self.rates:
            check_number("a rate", rate, TaskError, most=1)
        for rate in self.learning_rates:
            check_number("a learning rate", rate, TaskError)
        if not is_count(self.trials, 1, MAX_TRIALS):
            raise TaskError(
                f"trials must be from 1 to {MAX_TRIALS}, the settings each method has, "
                f"got {excerpt(self.trials)}"
            )
        self._check_as_setup()
        self._check_rates()
        if missing := [name for name in self.samples_of if name not in self.methods]:
            raise TaskError(
                f"samples_of has {excerpt(missing[0])}, which is not among the methods\n"
                f"  the methods are: {', '.join(self.methods)}"
                + did_you_mean(missing[0], self.methods)
            )
        self._check_plans()
        self._check_trials()

    def _check_trials(self) -> None:
        """A method of the user's own may have fewer settings than each method tries."""
        for name in self.methods:
            count = len(self.method(name).settings[: self.trials])
            if is_method(name) and 1 < self.trials != count:
                raise TaskError(
                    f"each method tries {self.trials} settings, and {name} has {count}\n"
                    f"  give it {self.trials} settings, or try fewer: --trials {count}"
                )

    def _check_as_setup(self) -> None:
        """Raise an error where what every setup has of this design is none of its values."""
        Setup(
            task=self.task.name,
            method="none",
            plan=Plan(),
            objective=TaskLoss(),
            budget=self.budget,
            seed=0,
            data=self.data,
            model=self.model,
            limit=self.limit,
            precision=self.precision,
            start=self.start,
            labels=self.labels,
            unlabelled=self.unlabelled,
            unlabelled_ratio=self.unlabelled_ratio,
        )
        check_whole("samples", self.samples, 0, TaskError)
        check_kinds(self.samples_without)

    def _check_rates(self) -> None:
        self._check_learning_rates()
        if not self.rates:
            return
        different = len(set(self._pairs_of_rates()))
        if different != self.trials or len(self.rates) != self.trials:
            rates = ", ".join(f"{rate:g}" for rate in self.rates)
            raise TaskError(
                f"{self.trials} trials need {self.trials} different rates, got {rates}\n"
                "  give as many different rates as trials"
            )
        if not any("rate" in self.method(name).settings[0] for name in self.methods):
            raise TaskError(
                f"rates are given, but no method has a rate: {', '.join(self.methods)}\n"
                "  leave rates out, or compare a method with noise, such as dropout"
            )

    def _check_learning_rates(self) -> None:
        if self.learning_rates and len(self.learning_rates) != self.trials:
            rates = ", ".join(f"{rate:g}" for rate in self.learning_rates)
            raise TaskError(
                f"{self.trials} trials need {self.trials} learning rates, got {rates}\n"
                "  give as many learning rates as trials, one for each"
            )

    def _pairs_of_rates(self) -> list[tuple[float, ...]]:
        """The rates of each trial: of dropout, and of learning where several are tried."""
        if not self.learning_rates:
            return [(rate,) for rate in self.rates]
        return list(zip(self.rates, self.learning_rates, strict=False))

    def _check_plans(self) -> None:
        check_type("plans", self.plans, tuple, "a tuple of pairs of a name and a plan")
        for pair in self.plans:
            if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
                raise ArgumentError(f"plans are pairs of a name and a plan, got {excerpt(pair)}")
        for name, plans in self.plans:
            if not isinstance(plans, Plan) and not (
                isinstance(plans, tuple) and all(isinstance(plan, Plan) for plan in plans)
            ):
                raise ArgumentError(
                    f"the plan {excerpt(name)} is a Plan, or several in a tuple, "
                    f"got {excerpt(plans)}"
                )
            if plans == ():
                raise TaskError(
                    f"the method {excerpt(name)} has no plan\n  give one, or leave it out"
                )
            if is_method(name):
                raise TaskError(
                    f"a plan cannot be called {excerpt(name)}, which is the name of a method"
                )
            if name not in self.methods:
                raise TaskError(f"the plan {excerpt(name)} is not among the methods")

    def method(self, name: str) -> Method:
        """The method of a name; a plan is one with the budget's own settings."""
        if name not in dict(self.plans):
            return find_method(name)
        setting = {"weight_decay": self.budget.weight_decay}
        count = len(self._plans(name))
        return Method(
            about="a plan that is given",
            source="its own rules",
            noise=None,
            objective=TaskLoss,
            views=1,
            settings=tuple(setting | {PLAN: k + 1.0} for k in range(count))
            if count > 1
            else (setting,),
        )

    def settings(self, method: str) -> tuple[Setting, ...]:
        """The settings that a method tries."""
        settings = self.method(method).settings[: self.trials]
        if self.learning_rates and len(settings) == 1:
            settings *= self.trials
        columns: dict[str, tuple[float, ...]] = {}
        if self.rates and "rate" in settings[0]:
            columns["rate"] = self.rates
        if self.learning_rates:
            columns[LEARNING_RATE] = self.learning_rates
        return tuple(
            setting | {name: column[number] for name, column in columns.items()}
            for number, setting in enumerate(settings)
        )

    def setup(self, method: str, setting: Setting, seed: int) -> Setup:
        """One run of a method under a setting."""
        row = self.method(method)
        if method in dict(self.plans):
            plan = self._plans(method)[round(setting.get(PLAN, 1)) - 1]
        else:
            plan = row.plan(self.task, setting)
        takes_samples = not self.samples_of or method in self.samples_of
        has_samples = plan.rules and seed < TUNING_SEED and takes_samples
        setup = Setup(
            task=self.task.name,
            method=method,
            plan=plan,
            objective=row.goal(setting, self.task.kind),
            budget=budget_by_rule(
                row.budget(self.budget, setting), self.equal, row.views, self.patience
            ),
            seed=seed,
            data=self.data,
            model=self.model,
            limit=self.limit,
            precision=self.precision,
            samples=self.samples if has_samples else 0,
            samples_without=self.samples_without if has_samples else (),
            trunk=row.trunk(self.task),
            start=self.start,
            data_options=self.task.data_options,
            labels=self.labels,
            unlabelled=self.unlabelled,
            unlabelled_ratio=self.unlabelled_ratio,
        )
        if row.schedule is None:
            return setup
        return replace(setup, plan=row.with_schedule(plan, setting, steps_of(setup)))

    def trial_setups(self, method: str) -> list[Setup]:
        """The runs that choose a method's setting, all seeds of one setting together.

        There are none if there is nothing to choose between.
        """
        if len(self.settings(method)) == 1:
            return []
        first = TUNING_SEED + (self.plans_seen if method in dict(self.plans) else 0)
        seeds = range(first, first + self.tuning_seeds)
        return [
            self.setup(method, setting, seed) for setting in self.settings(method) for seed in seeds
        ]

    def reported_setups(self, method: str, setting: Setting) -> list[Setup]:
        """The runs whose numbers are shown."""
        return [self.setup(method, setting, seed) for seed in range(self.seeds)]

    def _plans(self, name: str) -> tuple[Plan, ...]:
        plans = dict(self.plans)[name]
        return (plans,) if isinstance(plans, Plan) else plans


def check(design: Design) -> None:
    """Install every method's plan on the task's model once, so that errors come before training.

    Raises:
        DropsmithError: a setting is not one, the data is not there, the model cannot be made, a
            plan matches nothing, the weights to begin from are of another model, or the module
            is not there at which views part.
    """
    setups = [design.setup(name, design.settings(name)[0], 0) for name in design.methods]
    where = None if design.data is None else Path(design.data)
    data = design.task.load(where, setups[0].limit_of_data)
    trunks = [setup.trunk for setup in setups if setup.trunk is not None]
    check_plans(design.task, data, [setup.plan for setup in setups], trunks, design.start)
    tried = [setup for setup in setups if _needs_examples(setup)]
    if not tried:
        return
    # The methods of a comparison have the same examples.
    task, run_data = task_and_data(tried[0])
    for setup in tried:
        training_part(setup, task, run_data)
        if is_reference(full(setup.method)):
            try_objective(setup.method, setup, task, run_data)


def _needs_examples(setup: Setup) -> bool:
    """True if the objective or the labels of a setup can be checked on the examples alone."""
    is_own = is_reference(full(setup.method))
    return is_own or setup.has_unlabelled or setup.objective.reads_unlabelled


def check_plans(
    task: Task,
    data: Data,
    plans: Sequence[Plan],
    trunks: Sequence[str] = (),
    start: Start | None = None,
) -> None:
    """Put weights and each plan on the task's model, and find each trunk; errors as `check`."""
    with torch.random.fork_rng(devices=[]):
        model = task.model(data)
    if start is not None:
        start.load_into(model, data)
    for name in dict.fromkeys(trunks):
        upper(model, name)
    example = data.train.rows(slice(0, 2))
    for plan in plans:
        with plan.installed(model, example):
            pass


def check_names(argument: str, names: object) -> None:
    """Raise `ArgumentError` unless an argument is a tuple of names."""
    check_type(argument, names, tuple, "a tuple of names, such as ('dropout', 'r-drop')")
    for name in cast(tuple[object, ...], names):
        check_type(f"each of {argument}", name, str, "a name")


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial of least mean validation loss, the earlier of equals.

    Only trials that finished on every seed can be chosen, for a mean over fewer seeds is of another
    spread; None if there is no such trial.
    """
    return min(
        (trial for trial in trials if trial.is_finished), key=lambda trial: trial.loss, default=None
    )
