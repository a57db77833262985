"""The verdict on a difference: one rule for sentences, tables, pictures and the answer."""

from enum import StrEnum

from dropsmith.compare.statistics import Difference

SIGNIFICANT = 0.05
"""A p-value below which a difference is significant, once it is corrected by Holm's method."""

LESS_IS_BETTER = frozenset(
    {"test_nll", "test_perplexity", "test_rmse", "test_mse", "test_mae", "test_calibration_error"}
)
"""The scores that are errors or losses; of all others more is better."""


class Verdict(StrEnum):
    """The verdict on one difference. Its value is the words that a reader sees."""

    BETTER = "better"
    WORSE = "worse"
    BETTER_UNCORRECTED = "better, but not significant after Holm correction"
    WORSE_UNCORRECTED = "worse, but not significant after Holm correction"
    NO_DIFFERENCE = "no detectable difference"
    NO_INTERVAL = "no interval, so no verdict"

    @property
    def is_significant(self) -> bool:
        """True for the two verdicts that are shown in bold and in colour."""
        return self in (Verdict.BETTER, Verdict.WORSE)


def more_is_better(name: str) -> bool:
    """True unless the score is an error or a loss.

    >>> more_is_better("test_accuracy"), more_is_better("test_nll")
    (True, False)
    """
    return name not in LESS_IS_BETTER


def verdict(name: str, change: Difference) -> Verdict:
    """The verdict on a difference of a score.

    It is significant if its p-value is below 0.05 after Holm's correction. If the 95 % interval
    excludes zero but the corrected p-value is larger, the verdict is better or worse "but not
    significant". Fewer than three pairs, or pairs that all differ by the same, have no interval and
    so no verdict; pairs that are all equal have no difference.

    >>> change = Difference(mean=0.1, low=0.05, high=0.15, p=0.01, corrected=0.03, pairs=5)
    >>> verdict("test_accuracy", change).value, verdict("test_nll", change).value
    ('better', 'worse')

    Args:
        name: the score, such as `test_accuracy`.
        change: the difference, corrected among its family; see `correct_family`.
    """
    if change.low is None or change.high is None:
        return Verdict.NO_INTERVAL if change.p is None else Verdict.NO_DIFFERENCE
    if change.low <= 0 <= change.high:
        return Verdict.NO_DIFFERENCE
    is_better = (change.mean > 0) == more_is_better(name)
    if change.corrected is not None and change.corrected < SIGNIFICANT:
        return Verdict.BETTER if is_better else Verdict.WORSE
    return Verdict.BETTER_UNCORRECTED if is_better else Verdict.WORSE_UNCORRECTED
