"""Types of the fields of schemas: numbers within the ranges that anything here can have."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Number = float | Annotated[int, Ge(-(2**63)), Lt(2**63)]
"""What a run measured: infinite, or no number at all, where it diverged."""

FiniteNumber = Annotated[float, Gt(-float("inf")), Lt(float("inf"))]

Count = Annotated[int, Ge(0), Lt(2**53)]
"""Of trials, steps, examples; a number that `float` holds exactly."""

Seed = Annotated[int, Ge(0), Lt(2**63)]

Chance = Annotated[float, Ge(0), Le(1)]

OTHER_FIELDS_ALLOWED = {"extra": "allow", "strict": True}
"""The `__pydantic_config__` of a `TypedDict` that names only those fields that are read."""
