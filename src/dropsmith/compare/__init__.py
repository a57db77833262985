"""Comparisons of methods with equal seeds, trials, examples and budget rule."""

from dropsmith.compare.answers import Answer, Conclusion, answer
from dropsmith.compare.budget_rule import (
    CEILING,
    PATIENCE,
    RECIPES,
    RULES,
    Rule,
    budget_by_rule,
    reached_ceiling,
)
from dropsmith.compare.comparison import FILE, Comparison, Row, Trial
from dropsmith.compare.constants import (
    COMMONEST,
    MEAN,
    ConstantPredictor,
    constant_predictor,
)
from dropsmith.compare.cost_reduction import ordinal
from dropsmith.compare.design import TUNING_SEED, Design, check, check_plans
from dropsmith.compare.method import (
    LEARNING_RATE,
    PAIRED_NOISE,
    Method,
    Setting,
    spell_setting,
)
from dropsmith.compare.method_names import (
    find_method,
    full,
    is_method,
    known_method,
    pick,
    usual,
)
from dropsmith.compare.methods import CONTROL, METHODS
from dropsmith.compare.price import Price, clock, prices
from dropsmith.compare.run_comparison import compare, count
from dropsmith.compare.runs import Job, Watch, make_record, run
from dropsmith.compare.settable_numbers import MethodNumber, method_numbers
from dropsmith.compare.shared_runs import share_runs
from dropsmith.compare.statistics import (
    ENOUGH_FOR_INTERVAL,
    ENOUGH_FOR_P,
    Difference,
    Spread,
    correct_family,
    difference,
    mean,
)
from dropsmith.compare.stored_records import has_result, migrate_records, setup_id, stored_record
from dropsmith.compare.summary import (
    METRIC_SETS,
    Line,
    SampleAverage,
    metrics,
    sample_averages,
    sampled,
    summarise,
)
from dropsmith.compare.user_methods import try_objective
from dropsmith.compare.verdicts import SIGNIFICANT, Verdict, more_is_better, verdict

__all__ = [
    "CEILING",
    "COMMONEST",
    "CONTROL",
    "ENOUGH_FOR_INTERVAL",
    "ENOUGH_FOR_P",
    "FILE",
    "LEARNING_RATE",
    "MEAN",
    "METHODS",
    "METRIC_SETS",
    "PAIRED_NOISE",
    "PATIENCE",
    "RECIPES",
    "RULES",
    "SIGNIFICANT",
    "TUNING_SEED",
    "Answer",
    "Comparison",
    "Conclusion",
    "ConstantPredictor",
    "Design",
    "Difference",
    "Job",
    "Line",
    "Method",
    "MethodNumber",
    "Price",
    "Row",
    "Rule",
    "SampleAverage",
    "Setting",
    "Spread",
    "Trial",
    "Verdict",
    "Watch",
    "answer",
    "budget_by_rule",
    "check",
    "check_plans",
    "clock",
    "compare",
    "constant_predictor",
    "correct_family",
    "count",
    "difference",
    "find_method",
    "full",
    "has_result",
    "is_method",
    "known_method",
    "make_record",
    "mean",
    "method_numbers",
    "metrics",
    "migrate_records",
    "more_is_better",
    "ordinal",
    "pick",
    "prices",
    "reached_ceiling",
    "run",
    "sample_averages",
    "sampled",
    "setup_id",
    "share_runs",
    "spell_setting",
    "stored_record",
    "summarise",
    "try_objective",
    "usual",
    "verdict",
]
