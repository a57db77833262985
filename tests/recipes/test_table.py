from pathlib import Path

from dropsmith.record import Record
from dropsmith.train import Start
from dropsmith_recipes import RECIPES
from dropsmith_recipes.table import HEADS, NOT_RUN, row

REVIEWS = RECIPES["sentiment-scale/variational-lstm"]
MEDIUM = RECIPES["penn-treebank/variational-lstm-medium"]


def save(recipe, preset, seed, folder, **scores):
    setup = recipe.setup(preset, seed=seed, data=str(folder))
    Record(config=setup.to_json(), scores=scores).save(folder)


def test_without_records_a_recipe_is_not_run(tmp_path):
    for recipe in RECIPES.values():
        cells = row(recipe, tmp_path)
        assert len(cells) == len(HEADS)
        assert cells[-1] == NOT_RUN


def test_both_presets_are_told_with_samples_and_seeds(tmp_path):
    save(MEDIUM, "paper", 0, tmp_path, test_perplexity=80.04, test_mc_perplexity=78.96)
    for seed, found in enumerate((150.0, 152.0, 154.0)):
        save(MEDIUM, "cpu", seed, tmp_path, test_perplexity=found, test_mc_perplexity=found - 1)
    assert row(MEDIUM, tmp_path)[-1] == (
        "paper 80.0, samples 79.0, 1 seed; cpu 152.0 ± 2.0, samples 151.0 ± 2.0, 3 seeds"
    )


def test_errors_of_ratings_have_three_digits(tmp_path):
    save(REVIEWS, "cpu", 0, tmp_path, test_rmse=0.18231, test_mc_rmse=0.18119)
    assert row(REVIEWS, tmp_path)[-1] == "cpu 0.182, samples 0.181, 1 seed"


def test_a_run_with_a_setting_of_its_own_is_no_run_of_the_recipe(tmp_path):
    setup = MEDIUM.setup("cpu").to_json() | {"limit": 7}
    Record(config=setup, scores={"test_perplexity": 1.0}).save(tmp_path)
    assert row(MEDIUM, tmp_path)[-1] == NOT_RUN


TUNED = RECIPES["penn-treebank/awd-lstm-finetuned"]


def tuned(folder, seed, first, perplexity):
    """A run of the second phase that says it began from the run `first`."""
    start = Start(weights=Path("lost"), sha256=f"{seed}")
    config = TUNED.setup("cpu", seed=seed, start=start).to_json()
    scores = {"test_perplexity": perplexity}
    Record(config=config, environment={"start": first}, scores=scores).save(folder)


def test_a_second_run_counts_where_it_began_from_a_run_of_the_first_recipe(tmp_path):
    for seed in (3, 4):
        first = Record(config=TUNED.after.setup("cpu", seed=seed).to_json())
        tuned(tmp_path, seed, {"record": first.id, "seed": seed}, 100.0 + seed)
    assert row(TUNED, tmp_path)[-1] == "cpu 103.5 ± 0.7, 2 seeds"


def test_a_second_run_from_other_weights_is_no_run_of_the_recipe(tmp_path):
    other = Record(config=TUNED.after.setup("paper", seed=0).to_json())
    tuned(tmp_path, 0, {"record": other.id, "seed": 0}, 100.0)
    tuned(tmp_path, 1, {"file": "mine.safetensors"}, 100.0)
    assert row(TUNED, tmp_path)[-1] == NOT_RUN
