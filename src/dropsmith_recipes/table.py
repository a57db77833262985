"""The recipes as a table: what was published, where that was seen, and what our own runs gave."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from dropsmith.compare import METRIC_SETS
from dropsmith.record import Record
from dropsmith_recipes._preset import PRESETS, PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.needs import needs
from dropsmith_recipes.records import records_of

_PARTS = {"validation": "validation_", "test": "test_", "test, samples": "test_mc_"}
HEADS = ("recipe", "score", *_PARTS, "seen in", "a run takes", "run here, test")

NOT_RUN = "not run"
_SCORES = {
    "perplexity": "perplexity",
    "rmse": "root mean squared error",
    "bleu": "BLEU",
    "rouge1": "ROUGE-1",
    "rouge2": "-2",
    "rougel": "-L",
    "matthews": "Matthews",
    "pearson": "Pearson",
    "accuracy": "accuracy",
}
_SHARES = ("rouge1", "rouge2", "rougel", "matthews", "pearson", "accuracy")
"""Shares in our records, which papers and this table have in per cent."""


def row(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """A recipe's cells, in the order of `HEADS`.

    >>> from dropsmith_recipes import find_recipe
    >>> row(find_recipe("wikitext2/awd-lstm"), Path("nowhere"))[:6]
    ('wikitext2/awd-lstm', 'perplexity', '68.7', '65.6', '', 'code')
    >>> row(find_recipe("cola/bert-base"), Path("nowhere"))
    ('cola/bert-base', '', '', '', '', '', '10 epochs, 108.3 M, 1.7 GB', 'not run')

    Args:
        recipe: the recipe.
        folder: where records are.
    """
    kinds = dict.fromkeys(_kind(entry.score) for entry in recipe.published_scores)
    certainties = ", ".join(dict.fromkeys(entry.certainty for entry in recipe.published_scores))
    numbers = [_numbers(recipe.published_scores, part) for part in _PARTS.values()]
    score = " / ".join(_SCORES[kind] for kind in kinds)
    return (recipe.full_name, score, *numbers, certainties, needs(recipe), run_here(recipe, folder))


def run_here(recipe: Recipe, folder: Path) -> str:
    """The test scores of the runs of a recipe's presets, or a word that there are none."""
    runs = {preset: records_of(recipe, preset, folder) for preset in reversed(PRESETS)}
    texts = [
        f"{preset} {_scores(records, recipe.published_scores)}"
        for preset, records in runs.items()
        if records
    ]
    return "; ".join(texts) or NOT_RUN


def _kind(score: str) -> str:
    return score.rpartition("_")[2]


def _numbers(published_scores: Iterable[PublishedScore], part: str) -> str:
    scores = [score for score in published_scores if score.score == part + _kind(score.score)]
    return " / ".join(_format(score.value, _kind(score.score), score.digits) for score in scores)


def _format(value: float, kind: str, digits: int) -> str:
    return f"{100 * value if kind in _SHARES else value:.{digits}f}"


def _scores(records: list[Record], published_scores: Iterable[PublishedScore]) -> str:
    """Means over seeds of what was published, or else of what the task is judged by."""
    names = [entry.score for entry in published_scores if entry.score.startswith("test_")]
    names = names or _main_metrics(records)
    kinds = list(dict.fromkeys(_kind(score) for score in names))
    means = [_values(records, f"test_{kind}") for kind in kinds]
    samples = [_values(records, f"test_mc_{kind}") for kind in kinds]
    texts = [" / ".join(filter(None, means)), *(f"samples {entry}" for entry in samples if entry)]
    seeds = f"{len(records)} seed" + ("s" if len(records) > 1 else "")
    return ", ".join([*filter(None, texts), seeds])


def _main_metrics(records: list[Record]) -> list[str]:
    return next(
        (
            [names[0]]
            for names in METRIC_SETS
            if all(names[0] in record.scores for record in records)
        ),
        [],
    )


def _values(records: list[Record], score: str) -> str:
    """Mean and standard deviation over the records that have the score, or nothing."""
    values = [record.scores[score] for record in records if score in record.scores]
    kind = _kind(score)
    digits = 3 if kind == "rmse" else 1
    around = f" ± {_format(stdev(values), kind, digits)}" if len(values) > 1 else ""
    return f"{_format(fmean(values), kind, digits)}{around}" if values else ""
