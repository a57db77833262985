"""An objective inside a model's own loss, so that any trainer trains on it."""

from dropsmith.consistency.consistent import consistent, restore, terms_of
from dropsmith.consistency.state import ConsistentOutput

__all__ = [
    "ConsistentOutput",
    "consistent",
    "restore",
    "terms_of",
]
