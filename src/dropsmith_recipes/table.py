"""The recipes as a table: what was published, where that was seen, and what our own runs gave."""

from pathlib import Path
from statistics import fmean, stdev

from dropsmith.record import Record
from dropsmith_recipes._recipe import PRESETS, Recipe
from dropsmith_recipes.recorded import records_of

_PUBLISHED = {
    "validation_perplexity": "validation",
    "test_perplexity": "test",
    "test_mc_perplexity": "test, samples",
}
HEADS = ("recipe", *_PUBLISHED.values(), "seen in", "run here, test")

NOT_RUN = "not run"
_TEST = {
    "test_perplexity": "",
    "test_rmse": "",
    "test_mc_perplexity": "samples ",
    "test_mc_rmse": "samples ",
}


def row(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """A recipe's cells, in the order of `HEADS`.

    >>> from dropsmith_recipes import find_recipe
    >>> row(find_recipe("wikitext2/awd-lstm"), Path("nowhere"))
    ('wikitext2/awd-lstm', '68.7', '65.6', '', 'code', 'not run')

    Args:
        recipe: the recipe.
        folder: where records are.
    """
    published = {one.score: f"{one.value:.1f}" for one in recipe.published}
    seen = ", ".join(dict.fromkeys(one.certainty for one in recipe.published))
    runs = {preset: records_of(recipe, preset, folder) for preset in reversed(PRESETS)}
    said = [f"{preset} {_scores(records)}" for preset, records in runs.items() if records]
    numbers = [published.get(score, "") for score in _PUBLISHED]
    return (recipe.full_name, *numbers, seen, "; ".join(said) or NOT_RUN)


def _scores(records: list[Record]) -> str:
    found = [(said, _values(records, score)) for score, said in _TEST.items()]
    seeds = f"{len(records)} seed" + ("s" if len(records) > 1 else "")
    return ", ".join([f"{said}{text}" for said, text in found if text] + [seeds])


def _values(records: list[Record], score: str) -> str:
    """Mean and standard deviation over the records that have the score, or nothing."""
    values = [record.scores[score] for record in records if score in record.scores]
    digits = 3 if score.endswith("rmse") else 1
    around = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{around}" if values else ""
