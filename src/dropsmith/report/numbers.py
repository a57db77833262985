"""Numbers as they are printed: the same digits in the terminal, in Markdown and on the page."""

import re
from dataclasses import dataclass

from dropsmith.compare import Difference, Spread


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The name and the format of one score.

    Args:
        label: its name in a column's head.
        unit: after the name, where there is a unit.
        scale: the factor from the stored number to the printed one.
        digits: decimals shown.
        more_is_better: which direction is good.
    """

    label: str
    unit: str
    scale: float
    digits: int
    more_is_better: bool

    @property
    def head(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def value(self, number: float) -> str:
        """A number of this metric."""
        return minus(f"{self.scale * number:.{self.digits}f}")

    def change(self, number: float) -> str:
        """A difference of this metric, with its sign."""
        text = f"{self.scale * number:+.{self.digits}f}"
        return text[1:] if float(text) == 0 else minus(text)

    def deviation(self, spread: Spread) -> str:
        """± standard deviation; nothing for one run."""
        return "" if spread.deviation is None else f"± {self.value(spread.deviation)}"

    def interval(self, change: Difference) -> str:
        """The 95 % interval in brackets; nothing where one pair gives none."""
        if change.low is None or change.high is None:
            return ""
        return f"[{self.change(change.low)}, {self.change(change.high)}]"

    def verdict(self, change: Difference) -> str:
        """`better` or `worse` where the interval leaves zero out, else nothing."""
        if not change.clear:
            return ""
        return "better" if (change.mean > 0) == self.more_is_better else "worse"


METRICS = {
    "test_accuracy": Metric(
        label="test accuracy", unit="%", scale=100, digits=2, more_is_better=True
    ),
    "test_matthews": Metric(label="test Matthews", unit="", scale=1, digits=4, more_is_better=True),
    "test_f1": Metric(label="test F1", unit="%", scale=100, digits=2, more_is_better=True),
    "test_pearson": Metric(label="test Pearson", unit="", scale=1, digits=4, more_is_better=True),
    "test_spearman": Metric(label="test Spearman", unit="", scale=1, digits=4, more_is_better=True),
    "test_bleu": Metric(label="test BLEU", unit="", scale=1, digits=2, more_is_better=True),
    "test_rougel": Metric(label="test ROUGE-L", unit="%", scale=100, digits=2, more_is_better=True),
    "test_rouge1": Metric(label="test ROUGE-1", unit="%", scale=100, digits=2, more_is_better=True),
    "test_rouge2": Metric(label="test ROUGE-2", unit="%", scale=100, digits=2, more_is_better=True),
    "test_nll": Metric(label="test NLL", unit="", scale=1, digits=3, more_is_better=False),
    "test_perplexity": Metric(
        label="test perplexity", unit="", scale=1, digits=2, more_is_better=False
    ),
    "test_rmse": Metric(label="test RMSE", unit="", scale=1, digits=4, more_is_better=False),
}


LOSSES = {"nll": "NLL", "mse": "MSE"}
"""The names of the losses by which settings are chosen."""


def brief(value: object) -> str:
    """A value as text, its long numbers to four digits.

    >>> brief({"rate": 1 / 9, "size": 2})
    "{'rate': 0.1111, 'size': 2}"
    """
    return re.sub(r"\d+\.\d{5,}", lambda match: f"{float(match[0]):.4g}", repr(value))


def minus(text: str) -> str:
    """The text with a true minus sign, as wide as the plus."""
    return text.replace("-", "−")


def p_value(p: float) -> str:
    """A p-value, never as zero.

    >>> p_value(0.0312), p_value(1e-9)
    ('0.031', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float | None) -> str:
    """A time, to a tenth below ten seconds.

    >>> seconds(4.26), seconds(81.4)
    ('4.3 s', '81 s')
    """
    if value is None:
        return "–"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def megabytes(value: float | None) -> str:
    """Bytes as whole megabytes (millions); nothing where unknown."""
    return "" if value is None else f"{value / 1e6:.0f} MB"
