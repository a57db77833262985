"""A recipe: one row of a paper's table, as a value that can be run."""

from dataclasses import dataclass, replace

from dropsmith.errors import TaskError, did_you_mean
from dropsmith.objectives import Objective
from dropsmith.plans import Plan
from dropsmith.record import config_id
from dropsmith.train import Setup, Start, task_and_data
from dropsmith_recipes._preset import PRESETS, Preset, PublishedScore


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One row of a paper's table.

    Args:
        task: the name of the paper's task.
        name: the row's own name; `task/name` is the recipe's.
        about: what it is, in a line.
        source: paper and place.
        objective: how many views, and what they should agree on.
        paper: the published settings.
        cpu: small and short, ours and not tuned: to see it run, not to judge it.
        published_scores: the numbers beside it, none where none are known.
        parameters: how many the published model has, where that is known.
        unlike: what is known to differ from the authors' code.
        after: the recipe whose best weights this one begins from; None where weights are drawn.
    """

    task: str
    name: str
    about: str
    source: str
    objective: Objective
    paper: Preset
    cpu: Preset
    published_scores: tuple[PublishedScore, ...] = ()
    parameters: int | None = None
    unlike: tuple[str, ...] = ()
    after: "Recipe | None" = None

    @property
    def full_name(self) -> str:
        """Its name on the command line."""
        return f"{self.task}/{self.name}"

    def preset(self, name: str) -> Preset:
        """`paper` or `cpu`; `TaskError` for another name."""
        if name not in PRESETS:
            raise TaskError(
                f"no preset is called {name!r}\n  there are: {', '.join(PRESETS)}"
                + did_you_mean(name, PRESETS)
            )
        return self.paper if name == "paper" else self.cpu

    def setup(
        self,
        preset: str = "cpu",
        *,
        seed: int = 0,
        data: str | None = None,
        plan: Plan | None = None,
        start: Start | None = None,
    ) -> Setup:
        """The run of a preset with a seed.

        Args:
            preset: `paper` or `cpu`.
            seed: decides the initial weights, the windows and all noise.
            data: folder that the task reads.
            plan: what the preset's search has found; None where there is none to make.
            start: the best weights of the recipe that this one is `after`; None where it is after
                none.

        Raises:
            TaskError: there is no such preset, a searched plan or the weights to begin from are
                missing, or one was given where the recipe has its own.
        """
        final_plan = self.preset(preset)
        self._check_plan(final_plan, plan)
        self._check_start(preset, seed, start)
        return Setup(
            task=final_plan.task or self.task,
            method=self.name,
            plan=final_plan.plan if plan is None else plan,
            objective=self.objective,
            budget=final_plan.budget,
            seed=seed,
            data=data,
            model=final_plan.model,
            limit=final_plan.limit,
            samples=final_plan.samples,
            whole=final_plan.whole,
            start=start,
            labels=final_plan.labels,
            unlabelled_ratio=final_plan.unlabelled_ratio,
        )

    def first_id(self, preset: str, seed: int) -> str | None:
        """The id of the run that this one begins from; None where it is after none."""
        if self.after is None:
            return None
        return config_id(self.after.setup(preset, seed=seed).to_json())

    def transfer_plan(self, setup: Setup, preset: str = "cpu") -> Setup:
        """The run of a preset, its plan carried to the model that is trained in the end.

        Reads the data and makes the model, where the search was on a model of another kind; else
        the setup as it is.

        Raises:
            PlanError: a rule of the plan has no place in that model.
        """
        search = self.preset(preset).search
        if search is None or not search.names:
            return setup
        return replace(setup, plan=search.transfer_plan(setup.plan, *task_and_data(setup)))

    def _check_plan(self, final_plan: Preset, plan: Plan | None) -> None:
        if final_plan.search is not None and plan is None:
            raise TaskError(
                f"the plan of {self.full_name} is found by a search\n"
                f"  first: dropsmith search {self.full_name} --data DIR\n"
                f"  then: dropsmith train {self.full_name} --data DIR --plan FOLDER/plan.json"
            )
        if final_plan.search is None and plan is not None:
            raise TaskError(
                f"the recipe {self.full_name} has a plan of its own\n"
                f"  leave yours out, or train the task: dropsmith train {self.task} --plan FILE"
            )

    def _check_start(self, preset: str, seed: int, start: Start | None) -> None:
        if self.after is not None and start is None:
            options = " --data DIR" + (f" --preset {preset}" if preset != PRESETS[0] else "")
            options += f" --seed {seed}" if seed else ""
            first = f"runs/{self.after.task}/{self.first_id(preset, seed)}"
            raise TaskError(
                f"{self.full_name} begins from the best weights of {self.after.full_name}\n"
                f"  first: dropsmith train {self.after.full_name}{options}\n"
                f"  then: dropsmith train {self.full_name}{options} --start {first}"
            )
        if self.after is None and start is not None:
            raise TaskError(
                f"the recipe {self.full_name} begins from weights that are drawn\n"
                f"  leave yours out, or train the task: dropsmith train {self.task} --start RUN"
            )
