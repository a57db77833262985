"""Methods against each other under equal terms: seeds, trials, examples and example-views."""

from dropsmith.compare._compare import compare, count
from dropsmith.compare._method import Method, Setting, spelled
from dropsmith.compare.comparison import FILE, Comparison, Row, Trial
from dropsmith.compare.design import TUNING_SEED, Design, check, check_plans
from dropsmith.compare.methods import CONTROL, METHODS, find_method, full, pick, usual
from dropsmith.compare.price import Price, prices
from dropsmith.compare.renew import renew
from dropsmith.compare.running import run

__all__ = [
    "CONTROL",
    "FILE",
    "METHODS",
    "TUNING_SEED",
    "Comparison",
    "Design",
    "Method",
    "Price",
    "Row",
    "Setting",
    "Trial",
    "check",
    "check_plans",
    "compare",
    "count",
    "find_method",
    "full",
    "pick",
    "prices",
    "renew",
    "run",
    "spelled",
    "usual",
]
