"""The recipes as a table: what was published, where that was seen, and what our own runs gave."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from dropsmith.compare import JUDGED_BY
from dropsmith.record import Record
from dropsmith_recipes._preset import PRESETS, Published
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.recorded import records_of

_PARTS = {"validation": "validation_", "test": "test_", "test, samples": "test_mc_"}
HEADS = ("recipe", "score", *_PARTS, "seen in", "run here, test")

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
    >>> row(find_recipe("wikitext2/awd-lstm"), Path("nowhere"))
    ('wikitext2/awd-lstm', 'perplexity', '68.7', '65.6', '', 'code', 'not run')
    >>> row(find_recipe("cola/bert-base"), Path("nowhere"))
    ('cola/bert-base', 'Matthews', '', '62.3', '', 'remembered', 'not run')

    Args:
        recipe: the recipe.
        folder: where records are.
    """
    kinds = dict.fromkeys(_kind(one.score) for one in recipe.published)
    seen = ", ".join(dict.fromkeys(one.certainty for one in recipe.published))
    numbers = [_numbers(recipe.published, part) for part in _PARTS.values()]
    score = " / ".join(_SCORES[kind] for kind in kinds)
    return (recipe.full_name, score, *numbers, seen, run_here(recipe, folder))


def run_here(recipe: Recipe, folder: Path) -> str:
    """What the runs of a recipe's presets gave on test, or that there are none."""
    runs = {preset: records_of(recipe, preset, folder) for preset in reversed(PRESETS)}
    said = [
        f"{preset} {_scores(records, recipe.published)}"
        for preset, records in runs.items()
        if records
    ]
    return "; ".join(said) or NOT_RUN


def _kind(score: str) -> str:
    return score.rpartition("_")[2]


def _numbers(published: Iterable[Published], part: str) -> str:
    mine = [one for one in published if one.score == part + _kind(one.score)]
    return " / ".join(_shown(one.value, _kind(one.score), one.digits) for one in mine)


def _shown(value: float, kind: str, digits: int) -> str:
    return f"{100 * value if kind in _SHARES else value:.{digits}f}"


def _scores(records: list[Record], published: Iterable[Published]) -> str:
    """Means over seeds of what was published, or else of what the task is judged by."""
    wanted = [one.score for one in published if one.score.startswith("test_")]
    wanted = wanted or _judged_by(records)
    kinds = list(dict.fromkeys(_kind(score) for score in wanted))
    means = [_values(records, f"test_{kind}") for kind in kinds]
    samples = [_values(records, f"test_mc_{kind}") for kind in kinds]
    found = [" / ".join(filter(None, means)), *(f"samples {one}" for one in samples if one)]
    seeds = f"{len(records)} seed" + ("s" if len(records) > 1 else "")
    return ", ".join([*filter(None, found), seeds])


def _judged_by(records: list[Record]) -> list[str]:
    return next(
        ([names[0]] for names in JUDGED_BY if all(names[0] in one.scores for one in records)), []
    )


def _values(records: list[Record], score: str) -> str:
    """Mean and standard deviation over the records that have the score, or nothing."""
    values = [record.scores[score] for record in records if score in record.scores]
    kind = _kind(score)
    digits = 3 if kind == "rmse" else 1
    around = f" ± {_shown(stdev(values), kind, digits)}" if len(values) > 1 else ""
    return f"{_shown(fmean(values), kind, digits)}{around}" if values else ""
