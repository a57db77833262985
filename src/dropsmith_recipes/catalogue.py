"""The recipes by their names on the command line."""

from dropsmith.errors import TaskError, did_you_mean
from dropsmith_recipes import (
    auto_dropout,
    auto_dropout_transfer,
    awd_lstm,
    few_labels,
    fine_tuning,
    fraternal,
    fraternal_awd,
    gal,
    lr_drop,
    r_drop_glue,
    r_drop_language,
    r_drop_others,
    r_drop_translation,
    sentiment,
)
from dropsmith_recipes._recipe import Recipe

_TRANSFORMERS = (
    *r_drop_translation.tables(),
    *r_drop_translation.ablations(),
    *r_drop_others.tables(),
    *r_drop_language.tables(),
    *r_drop_glue.tables(),
    *lr_drop.parts(),
    *lr_drop.choices(),
    *lr_drop.curve(),
)

_AUTO_DROPOUT = (
    *auto_dropout.tables(),
    *auto_dropout_transfer.tables(),
    *few_labels.auto_dropout_rows(),
)

RECIPES: dict[str, Recipe] = {
    "penn-treebank/naive-lstm-medium": gal.naive_medium(),
    "penn-treebank/variational-lstm-medium": gal.variational_medium(),
    "penn-treebank/variational-lstm-medium-tied": gal.variational_medium_tied(),
    "penn-treebank/naive-lstm-large": gal.naive_large(),
    "penn-treebank/variational-lstm-large": gal.variational_large(),
    "penn-treebank/variational-lstm-large-tied": gal.variational_large_tied(),
    "penn-treebank/fraternal-lstm": fraternal.one_layer(),
    "penn-treebank/fraternal-lstm-same-words": fraternal.one_layer_same_words(),
    "penn-treebank/fraternal-lstm-same-input": fraternal.one_layer_same_input(),
    "penn-treebank/fraternal-lstm-same-weights": fraternal.one_layer_same_weights(),
    "penn-treebank/fraternal-lstm-same-output": fraternal.one_layer_same_output(),
    "penn-treebank/expectation-linear-lstm": fraternal.one_layer_expectation_linear(),
    "penn-treebank/pi-lstm": fraternal.one_layer_pi(),
    "penn-treebank/awd-lstm": awd_lstm.penn_treebank(),
    "penn-treebank/fraternal-awd-lstm": fraternal_awd.penn_treebank(),
    "penn-treebank/expectation-linear-awd-lstm": fraternal_awd.expectation_linear(),
    "penn-treebank/pi-awd-lstm": fraternal_awd.pi(),
    "wikitext2/awd-lstm": awd_lstm.wikitext(),
    "wikitext2/fraternal-awd-lstm": fraternal_awd.wikitext(),
    "sentiment-scale/naive-lstm": sentiment.naive_lstm(),
    "sentiment-scale/variational-lstm": sentiment.variational_lstm(),
    "sentiment-scale-gru/naive-gru": sentiment.naive_gru(),
    "sentiment-scale-gru/variational-gru": sentiment.variational_gru(),
    **{recipe.full_name: recipe for recipe in fine_tuning.tables()},
    **{recipe.full_name: recipe for recipe in _TRANSFORMERS},
    **{recipe.full_name: recipe for recipe in _AUTO_DROPOUT},
    **{recipe.full_name: recipe for recipe in few_labels.fraternal_rows()},
}


def is_recipe(name: str) -> bool:
    """True if a name means a recipe, be it spelled wrong: a task that has some, then a slash.

    >>> is_recipe("penn-treebank/awd"), is_recipe("penn-treebank"), is_recipe("photos/cats")
    (True, False, False)
    """
    task, slash, _ = name.partition("/")
    return bool(slash) and task in {recipe.task for recipe in RECIPES.values()}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name.

    >>> find_recipe("penn-treebank/awd-lstm").parameters
    24221600

    Raises:
        TaskError: there is none, with the names that its task has.
    """
    if name in RECIPES:
        return RECIPES[name]
    task = name.partition("/")[0]
    near = [full_name for full_name in RECIPES if full_name.startswith(f"{task}/")] or list(RECIPES)
    raise TaskError(
        f"no recipe is called {name!r}\n  recipes: {', '.join(near)}" + did_you_mean(name, RECIPES)
    )
