"""Contract tests to inherit, for patterns, objectives, samplers and executors of your own."""

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
