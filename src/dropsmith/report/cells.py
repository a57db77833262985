"""Cells and grids: the content of tables, for any of the ways of showing them."""

from dataclasses import dataclass

from dropsmith.compare import (
    ENOUGH_FOR_P,
    Difference,
    Setting,
    Spread,
    spell_setting,
    verdict,
)
from dropsmith.errors import printable
from dropsmith.report.numbers import METRICS, p_value


@dataclass(frozen=True)
class Cell:
    """A text, lines below it in smaller letters, and `better` or `worse` where significant."""

    text: str
    detail: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Grid:
    """A table: its caption, the heads of its columns, its rows; the first cell names the row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def numeric(self, column: int) -> bool:
        """True if a column holds numbers, which are read from the right."""
        return any(row[column].text[:1] in tuple("+−0123456789") for row in self.rows)


def setting_cell(setting: Setting) -> Cell:
    """A setting, its first number as the text and the others below.

    Weight decay is called decay, or a terminal of 80 columns would break numbers.
    """
    words = [spell_setting({name: value}) for name, value in setting.items()]
    first, *rest = [word.replace("weight decay ", "decay ") for word in words]
    return Cell(first, ", ".join(rest))


def score_cell(name: str, spread: Spread | None) -> Cell:
    """The mean of a metric with its deviation; a dash where there is none."""
    if spread is None:
        return Cell("–")
    return Cell(METRICS[name].value(spread.mean), METRICS[name].deviation(spread))


def difference(name: str, change: Difference | None) -> Cell:
    """A difference of a metric with its interval, its corrected p-value and its verdict.

    The p-value is printed from eight seeds. The verdict marks the cell where it is significant.
    """
    if change is None:
        return Cell("")
    metric, judgement = METRICS[name], verdict(name, change)
    has_p = change.corrected is not None and change.pairs >= ENOUGH_FOR_P
    p = f"\np {p_value(change.corrected)}" if has_p and change.corrected is not None else ""
    mark = judgement.value if judgement.is_significant else ""
    return Cell(metric.change(change.mean), metric.interval(change) + p, mark)


def short(name: str) -> str:
    """The name of a metric in the head of a difference."""
    return _SHORT.get(name, name.removeprefix("test_"))


_SHORT = {
    "test_nll": "NLL",
    "test_rmse": "RMSE",
    "test_f1": "F1",
    "test_macro_f1": "macro F1",
    "test_r2": "R²",
    "test_bleu": "BLEU",
    "test_bleu4": "BLEU-4",
    "test_bleu3": "BLEU-3",
    "test_bleu2": "BLEU-2",
    "test_bleu1": "BLEU-1",
    "test_rougel": "ROUGE-L",
    "test_rouge1": "ROUGE-1",
    "test_rouge2": "ROUGE-2",
    "test_matthews": "Matthews",
    "test_pearson": "Pearson",
    "test_spearman": "Spearman",
}


_LONGEST_NAME = 40
"""Characters of a name in a picture."""


def picture_name(text: str, longest: int = _LONGEST_NAME) -> str:
    """The text as a label in a picture: in one line, and no longer than a panel.

    >>> picture_name("two\\nlines"), len(picture_name("x" * 10_000))
    ('two lines', 40)
    """
    line = " ".join(printable(text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
