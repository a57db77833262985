"""An objective in a model's own training loss, for any trainer that uses that loss."""

from dropsmith.consistency.consistent import consistent, restore, terms_of
from dropsmith.consistency.state import ConsistentOutput
from dropsmith.consistency.task_loss import Problem, problem_of, without_adapters

__all__ = [
    "ConsistentOutput",
    "Problem",
    "consistent",
    "problem_of",
    "restore",
    "terms_of",
    "without_adapters",
]
