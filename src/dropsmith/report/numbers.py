"""Numbers as they are printed: the same digits in the terminal, in Markdown and on the page."""

import re
from dataclasses import dataclass
from math import isfinite

from dropsmith.compare import ENOUGH_FOR_INTERVAL, Difference, Spread


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The name and the format of one score.

    Args:
        label: its name in a column's head.
        unit: after the name, where there is a unit.
        scale: the factor from the stored number to the printed one.
        digits: decimals shown.
    """

    label: str
    unit: str
    scale: float
    digits: int

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
        """The 95 % interval in brackets, or the reason why there is none."""
        if change.low is not None and change.high is not None:
            return f"[{self.change(change.low)}, {self.change(change.high)}]"
        if change.pairs < ENOUGH_FOR_INTERVAL:
            return f"{seeds(change.pairs)}: no interval"
        if not isfinite(change.mean):
            return "not finite: no interval"
        return "equal on every seed" if change.p else "the same on every seed: no interval"


METRICS = {
    "test_accuracy": Metric(label="test accuracy", unit="%", scale=100, digits=2),
    "test_matthews": Metric(label="test Matthews", unit="", scale=1, digits=4),
    "test_f1": Metric(label="test F1", unit="%", scale=100, digits=2),
    "test_pearson": Metric(label="test Pearson", unit="", scale=1, digits=4),
    "test_spearman": Metric(label="test Spearman", unit="", scale=1, digits=4),
    "test_bleu": Metric(label="test BLEU", unit="", scale=1, digits=2),
    "test_bleu4": Metric(label="test BLEU-4", unit="", scale=1, digits=2),
    "test_bleu3": Metric(label="test BLEU-3", unit="", scale=1, digits=2),
    "test_bleu2": Metric(label="test BLEU-2", unit="", scale=1, digits=2),
    "test_bleu1": Metric(label="test BLEU-1", unit="", scale=1, digits=2),
    "test_rougel": Metric(label="test ROUGE-L", unit="%", scale=100, digits=2),
    "test_rouge1": Metric(label="test ROUGE-1", unit="%", scale=100, digits=2),
    "test_rouge2": Metric(label="test ROUGE-2", unit="%", scale=100, digits=2),
    "test_nll": Metric(label="test NLL", unit="", scale=1, digits=3),
    "test_perplexity": Metric(label="test perplexity", unit="", scale=1, digits=2),
    "test_rmse": Metric(label="test RMSE", unit="", scale=1, digits=4),
}

DETAILS = {
    "test_macro_f1": Metric(label="test macro F1", unit="%", scale=100, digits=2),
    "test_weighted_f1": Metric(label="test weighted F1", unit="%", scale=100, digits=2),
    "test_auroc": Metric(label="test AUROC", unit="", scale=1, digits=4),
    "test_calibration_error": Metric(label="test calibration error", unit="%", scale=100, digits=2),
    "test_mae": Metric(label="test MAE", unit="", scale=1, digits=4),
    "test_r2": Metric(label="test R²", unit="", scale=1, digits=4),
}
"""Scores of the folded table, and of the first where a task needs them."""

METRICS |= DETAILS


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


def seeds(count: int) -> str:
    """A number of seeds.

    >>> seeds(1), seeds(3)
    ('1 seed', '3 seeds')
    """
    return f"{count} seed{'' if count == 1 else 's'}"


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
