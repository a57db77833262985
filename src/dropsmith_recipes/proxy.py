"""The search of a recipe for its plan, over children of a smaller run."""

from dataclasses import dataclass
from types import SimpleNamespace

from torch import nn

from dropsmith.learn import child_setup
from dropsmith.plans import Plan
from dropsmith.tasks import Budget, Data, Task, build_model, find_task
from dropsmith.train import Setup


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A search before the final training: `dropsmith.learn.learn` makes it.

    Children are scored on validation examples alone. What is found is a plan, which the recipe's
    final training takes as it is, or carried to another model.

    Args:
        task: what children are trained on.
        model: `package.module:function` that makes a child, or None for the task's own.
        budget: how long each child is trained.
        space: `conv` or `sequence`.
        trials: how many plans are tried.
        limit: training examples of a child, or None for the task's own choice.
        sampler: what proposes plans.
        seeds: how many children a plan has.
        names: what parts of names in a child are called in the model of the final training, where
            that is of another kind: see `Plan.transfer`. A child then has a `model`.
    """

    task: str
    budget: Budget
    space: str
    trials: int
    model: str | None = None
    limit: int | None = None
    sampler: str = "controller"
    seeds: int = 1
    names: tuple[tuple[str, str | tuple[str, ...]], ...] = ()

    def setup(self, data: str | None = None) -> Setup:
        """The run of every child, but for its plan."""
        return child_setup(
            find_task(self.task), self.budget, data=data, model=self.model, limit=self.limit
        )

    def transfer_plan(self, plan: Plan, task: Task, data: Data) -> Plan:
        """A plan that was found, for the model of a final training.

        Args:
            plan: what the search has found.
            task, data: of the final training.

        Raises:
            PlanError: a rule of it has no place there.
        """
        if not self.names:
            return plan
        batch = data.train.rows(slice(0, 2))
        return plan.transfer(task.model(data), batch, source=self._child(), names=dict(self.names))

    def _child(self) -> nn.Module:
        """A child, of which only the layers count: how many words it knows is of no matter."""
        assert self.model is not None
        return build_model(self.model, SimpleNamespace(classes=2))
