import pytest

from dropsmith_recipes import RECIPES
from dropsmith_recipes.needs import needs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # Plain SGD keeps weights and gradients: 2 x 4 bytes for each of 66,034,000.
        ("penn-treebank/variational-lstm-large", "55 epochs, 66.0 M, 0.5 GB"),
        # AdamW keeps two moments besides: 16 bytes for each of 108,310,272 and the head.
        ("mrpc/bert-base", "10 epochs, 108.3 M, 1.7 GB"),
        # Two views: twice the epochs.
        ("mrpc/bert-base-r-drop", "20 epochs, 108.3 M, 1.7 GB"),
    ],
)
def test_a_run_takes_the_memory_of_its_optimiser_and_the_epochs_of_its_views(name, text):
    assert needs(RECIPES[name]) == text


def test_a_recipe_that_begins_with_a_search_says_how_many_trials_it_takes():
    assert needs(RECIPES["cifar10-wrn-augmented/auto-dropout"]).startswith("400 trials, then ")


def test_every_recipe_says_how_many_epochs_it_takes():
    assert all(" epochs" in needs(recipe) for recipe in RECIPES.values())
