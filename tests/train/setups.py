"""Small runs that tests of this room share."""

from dropsmith.objectives import RDrop, TaskLoss
from dropsmith.plans.plan import Plan
from dropsmith.tasks import Budget, find_task
from dropsmith.train import Setup

SHORT = Budget(epochs=2, batch_size=20, learning_rate=2e-3)


def digits(*, noise=True, views=2, **change):
    """A run of ten steps (five of two views) on a hundred digits."""
    plan = find_task("digits").plan("dropout", 0.3) if noise else Plan()
    settings = {
        "task": "digits",
        "method": "r-drop" if views == 2 else "dropout",
        "plan": plan,
        "objective": RDrop(alpha=1.0) if views == 2 else TaskLoss(),
        "budget": SHORT,
        "seed": 0,
        "limit": 100,
    }
    return Setup(**settings | change)
