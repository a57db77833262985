"""An objective in a model's own training loss, for any trainer that uses that loss."""

from dropsmith.consistency.consistent import consistent, restore, terms_of
from dropsmith.consistency.state import ConsistentOutput

__all__ = [
    "ConsistentOutput",
    "consistent",
    "restore",
    "terms_of",
]
