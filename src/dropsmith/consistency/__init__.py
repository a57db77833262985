"""An objective inside a model's own loss, so that any trainer trains on it."""

from dropsmith.consistency.consistent import (
    Consistent,
    ConsistentOutput,
    consistent,
    restore,
    terms_of,
)

__all__ = ["Consistent", "ConsistentOutput", "consistent", "restore", "terms_of"]
