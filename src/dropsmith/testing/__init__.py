"""Conformance tests to inherit, so that what you write keeps the promises of what we wrote."""

from dropsmith.testing.checks import check_frozen, check_json, check_repr, record_saved_tensors
from dropsmith.testing.executors import ExecutorContract
from dropsmith.testing.objective import ObjectiveContract
from dropsmith.testing.patterns import PatternContract
from dropsmith.testing.samplers import SamplerContract

__all__ = [
    "ExecutorContract",
    "ObjectiveContract",
    "PatternContract",
    "SamplerContract",
    "check_frozen",
    "check_json",
    "check_repr",
    "record_saved_tensors",
]
