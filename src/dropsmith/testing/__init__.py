"""Conformance tests to inherit, so that a pattern of your own keeps the promises of ours."""

from dropsmith.testing._memory import kept_for_backward
from dropsmith.testing._values import check_frozen, check_json, check_repr
from dropsmith.testing.patterns import PatternContract

__all__ = ["PatternContract", "check_frozen", "check_json", "check_repr", "kept_for_backward"]
