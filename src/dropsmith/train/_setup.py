"""The settings of a run, as one value; its JSON is the configuration of the record."""

from dataclasses import dataclass
from typing import Any, cast

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.instances import check_bool, check_type, describe
from dropsmith.numbers import check_seed, check_whole
from dropsmith.objectives import Objective, check_objective
from dropsmith.plans import KINDS, Kind, Plan, check_plan
from dropsmith.tasks import (
    NO_LIMIT,
    NO_OPTIONS,
    TASKS,
    Budget,
    DataOptions,
    learning_rates,
    optimisers,
    plain_name,
)
from dropsmith.train.start import Start
from dropsmith.user_code import is_reference

PRECISIONS = ("no", "bf16")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The settings of a run.

    Args:
        task: name of a task, or the path of a folder or table of the user's own data.
        method: the name of the row in a comparison, such as `r-drop`.
        plan: the dropout plan of the model.
        objective: the number of views, and the loss on them.
        budget: epochs (of a one-view method), batch size, optimiser settings.
        seed: of the order of the examples, the initial weights and all noise.
        data: the folder or file of the data, if the task does not include its own. The path is not
            part of the run's identity; the record has a hash of the examples.
        model: `package.module:function` that makes the model, or None for the task's own.
        limit: the number of training examples; 0 for all, None for the task's default.
        precision: `no` for float32, `bf16` for mixed precision.
        samples: the number of noisy passes that are averaged for the scores `test_mc_…`, beside
            the scores of one pass without noise; 0 for none.
        samples_without: kinds of sites without noise in these passes, such as `words`.
        score_test: whether the test examples are scored at the end. Runs that serve to choose a
            setting do not score them.
        whole: whether the run also trains on the validation examples, after all choices are made.
            The last weights are then kept, and only the test examples are scored.
        trunk: the first module that the views of a step do not share; None to share nothing. The
            part below it runs once for all views, with one draw of its noise.
        start: the initial weights; None for random ones from the seed. They count as the best until
            the validation loss is lower.
        data_options: how the data is read; not part of the run's identity, apart from
            `drop_repeats`.
        labels: the number of training examples whose label is known, about equally many of each
            class; the others are examples without a label. None for all. Without a `limit`, all
            training examples are read.
        unlabelled: a table, or a folder of pictures, with examples without a label. The path is not
            part of the run's identity; the record has a hash of the examples.
        unlabelled_ratio: the examples without a label in a batch for each with one, where the
            objective counts them.
    """

    task: str
    method: str
    plan: Plan
    objective: Objective
    budget: Budget
    seed: int
    data: str | None = None
    model: str | None = None
    limit: int | None = None
    precision: str = "no"
    samples: int = 0
    samples_without: tuple[Kind, ...] = ()
    score_test: bool = True
    whole: bool = False
    trunk: str | None = None
    start: Start | None = None
    data_options: DataOptions = NO_OPTIONS
    labels: int | None = None
    unlabelled: str | None = None
    unlabelled_ratio: int = 1

    def __post_init__(self) -> None:
        check_plan(self.plan, "Setup(plan=...) takes a plan")
        check_objective(self.objective, "Setup(objective=...) takes an objective")
        if not isinstance(self.budget, Budget):
            raise TaskError(
                f"Setup(budget=...) takes a budget, but {describe(self.budget)} was given\n"
                "  write Budget(epochs=10, batch_size=32, learning_rate=1e-3), for example"
            )
        check_type("data_options", self.data_options, DataOptions, "a DataOptions")
        for name, kind in (("data", str), ("model", str), ("trunk", str), ("start", Start)):
            words = "a text, or None" if kind is str else "a Start, or None"
            check_type(name, getattr(self, name), (kind, type(None)), words)
        check_bool("score_test", self.score_test)
        check_bool("whole", self.whole)
        check_seed(self.seed, TaskError)
        check_whole("samples", self.samples, 0, TaskError)
        if self.limit is not None:
            check_whole("limit", self.limit, 0, TaskError)
        for name in ("task", "method"):
            _check_text(name, getattr(self, name))
        if not isinstance(self.precision, str) or self.precision not in PRECISIONS:
            raise TaskError(
                f"no precision is called {excerpt(self.precision)}\n  precisions: "
                f"{', '.join(PRECISIONS)}" + did_you_mean(self.precision, PRECISIONS)
            )
        if self.samples and not self.plan.rules:
            raise TaskError(
                f"samples={self.samples} with {len(self.plan.rules)} rules in the plan: samples "
                "differ by the noise of a plan\n  give a method with noise, or samples=0"
            )
        if self.samples and not self.score_test:
            raise TaskError(
                f"samples={self.samples} are scored on test examples, and score_test=False leaves "
                "those alone\n  leave one of the two out"
            )
        self._check_without()
        self._check_whole()
        self._check_unlabelled()

    def _check_unlabelled(self) -> None:
        if self.labels is not None:
            check_whole("labels", self.labels, 1, TaskError)
        check_type("unlabelled", self.unlabelled, (str, type(None)), "a path, or None")
        check_whole("unlabelled_ratio", self.unlabelled_ratio, 1, TaskError)
        if self.unlabelled_ratio > 1 and not self.has_unlabelled:
            raise TaskError(
                f"unlabelled_ratio={self.unlabelled_ratio} is of examples without a label, and "
                "there are none\n  hide labels: labels=100; or name examples: unlabelled=PATH"
            )

        if self.has_unlabelled and self.budget.batches == "length":
            raise TaskError(
                "a step that reads examples without a label draws them at random, and "
                "batches='length' groups those with a label\n  leave batches (--batches) out"
            )

    def _check_whole(self) -> None:
        budget = self.budget
        by_validation = [
            name
            for name, goes_by_it in (
                ("patience", budget.patience is not None),
                (
                    type(budget.schedule).__name__,
                    isinstance(budget.schedule, learning_rates.Plateau | learning_rates.UntilWorse),
                ),
                (
                    type(budget.optimiser).__name__,
                    isinstance(budget.optimiser, optimisers.TriggeredASGD),
                ),
            )
            if goes_by_it
        ]
        if self.whole and by_validation:
            raise TaskError(
                f"whole=True leaves no validation examples for {', '.join(by_validation)} to go by"
                "\n  give a schedule that depends on steps alone, or whole=False"
            )

    def _check_without(self) -> None:
        check_kinds(self.samples_without)
        if self.samples_without and not self.samples:
            raise TaskError(
                f"samples_without={excerpt(self.samples_without)} says what samples are made "
                "of, and "
                "samples=0 makes none\n  give samples=50, or leave it out"
            )

    @property
    def has_unlabelled(self) -> bool:
        """True if there are training examples without a label."""
        return self.labels is not None or self.unlabelled is not None

    @property
    def limit_of_data(self) -> int | None:
        """The limit that the data is read with: none where labels of some examples are hidden."""
        return NO_LIMIT if self.labels is not None and self.limit is None else self.limit

    @property
    def data_given(self) -> bool:
        """True if the examples are read from a place that the user names."""
        is_path = self.task not in TASKS and not is_reference(self.task)
        return self.data is not None or is_path

    def to_json(self) -> dict[str, Any]:
        """The resolved configuration as JSON values, without paths of data.

        `samples`, `whole`, `trunk`, `drop_repeats` and what is set of examples without a label are
        included if they are set, `tested` if the test examples are not scored, and of `start` the
        hash.
        """
        values = {
            "task": plain_name(self.task),
            "method": self.method,
            "plan": self.plan.for_records(),
            "objective": self.objective.to_json(),
            "budget": self.budget.to_json(),
            "seed": self.seed,
            "model": self.model,
            "limit": self.limit,
            "precision": self.precision,
        }
        if self.samples:
            values["samples"] = self.samples
        if self.samples_without:
            values["samples_without"] = list(self.samples_without)
        if not self.score_test:
            values["tested"] = False
        if self.whole:
            values["whole"] = True
        if self.trunk is not None:
            values["trunk"] = self.trunk
        if self.start is not None:
            values["start"] = self.start.sha256
        if self.labels is not None:
            values["labels"] = self.labels
        if self.unlabelled is not None:
            values["unlabelled"] = True
        if self.unlabelled_ratio > 1:
            values["unlabelled_ratio"] = self.unlabelled_ratio
        if self.data_options.drop_repeats is not None:
            values["drop_repeats"] = self.data_options.drop_repeats
        return values


def check_kinds(kinds: object) -> None:
    """Raise an error unless these are kinds of sites that samples may run without noise."""
    check_type("samples_without", kinds, tuple, "a tuple of kinds of sites")
    for kind in cast(tuple[object, ...], kinds):
        if not isinstance(kind, str) or kind not in KINDS:
            raise TaskError(
                f"no kind of site is called {excerpt(kind)}\n  kinds: {', '.join(KINDS)}"
                + did_you_mean(kind, KINDS)
            )


def _check_text(name: str, value: object) -> None:
    """Raise `TaskError` for text with surrogates, which would make a record unreadable."""
    if not isinstance(value, str) or (
        not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)
    ):
        raise TaskError(f"the {name} must be text that UTF-8 can encode, got {excerpt(value)}")
