import json
import math
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.objectives import from_json
from dropsmith.plans.plan import Plan
from dropsmith.tasks import TASKS, Data, Split
from dropsmith.tasks.model_function import import_function
from dropsmith.train import Saving, Start, task_and_data, train
from dropsmith.train.checkpoint import write
from dropsmith_recipes import RECIPES, Preset, find_recipe, is_recipe
from dropsmith_recipes.table import row
from recipes.shapes import untrained
from recipes.short_data import data_of
from recipes.texts import language_folder, pair_folder, review_folder, sentence_folder

pytestmark = pytest.mark.slow

WORDS = {
    "penn-treebank": 10_000,
    "wikitext2": 33_278,
    "wikitext103": 267_735,
    "iwslt14": 10_000,
    "wmt14": 32_000,
    "cifar10": 10,
    "cifar100": 100,
    "imagenet": 1_000,
    "mnli": 3,
    "stsb": 1,
}
NEVER = Saving(seconds=1e9)
PLANNED = {name: one for name, one in RECIPES.items() if not one.source.startswith("Pham")}
"""Those of AutoDropout begin with a search: see test_auto_dropout."""


class Enough(Exception):
    pass


def after(count):
    """A progress that ends a run after so many steps."""
    steps = iter(range(1, count))

    def progress(share, /):
        if next(steps, None) is None:
            raise Enough

    return progress


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of every task of the recipes, small."""
    texts = language_folder(tmp_path_factory.mktemp("texts"))
    return pair_folder(sentence_folder(review_folder(texts)))


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    """Pictures of noise, for CIFAR-10's own take long to read."""
    for name in ("cifar10-vit", "cifar10"):
        monkeypatch.setitem(TASKS, name, replace(TASKS[name], read=_pictures))


@lru_cache(maxsize=2)
def _pictures(data, limit, bounds):
    generator = torch.Generator().manual_seed(0)
    parts = [
        Split(
            {
                "image": torch.rand(count, 3, 8, 8, generator=generator),
                "labels": torch.arange(count) % 20,
            }
        )
        for count in (40, 20, 20)
    ]
    return Data.of(parts, names=[str(i) for i in range(20)], source="noise")


FEW = {"sentiment-scale": 30, "sentiment-scale-gru": 30, "cifar10-vit": None, "cifar10": None}
"""Examples of tasks that do not read running text."""


ANY = Start(weights=Path("anywhere"), sha256="0")


def given(recipe):
    """What a recipe's setup needs beside its preset, to be written down and not run."""
    return {} if recipe.after is None else {"start": ANY}


def shorter(recipe, data, limit=None):
    setup = recipe.setup("cpu", data=str(data), **given(recipe))
    task = TASKS[setup.task]
    running = hasattr(task, "source") and task.perplexity
    # A second phase ends where its losses do not fall, which those of short epochs soon do not.
    words = 300 if recipe.after is None else 1_000
    few = words if running else FEW.get(setup.task, 20)
    size = 30 if hasattr(task, "scorer") else 4  # of tokens, where texts are written
    budget = replace(setup.budget, batch_size=size, epochs=100)
    labels = None if setup.labels is None else 20
    return replace(setup, limit=few if limit is None else limit, budget=budget, labels=labels)


def begun(setup, path):
    """The setup, beginning from a file of new weights of its model."""
    task, data = task_and_data(setup)
    write(path, task.model(data).state_dict())
    return replace(setup, start=Start.of(path))


def first_of_each_kind():
    """Recipes of which no two run the same code: others differ in numbers or languages alone."""
    kinds = {}
    for name in PLANNED:
        setup = RECIPES[name].setup("cpu", data="anywhere", **given(RECIPES[name]))
        settings = [setup.task, setup.model, setup.plan.to_json(), setup.objective.to_json()]
        settings += [setup.budget.to_json(), setup.precision, setup.trunk, RECIPES[name].after]
        kinds.setdefault(
            re.sub(r"-\w\w-\w\w\b|\d[\d.e-]*", "0", json.dumps(settings, default=repr)), name
        )
    return sorted(kinds.values())


@pytest.mark.parametrize("name", first_of_each_kind())
def test_every_kind_of_recipe_runs_twelve_steps_of_its_cpu_preset(name, folder, tmp_path):
    """More than an epoch, and one step more than lie between the rarest comparisons, of each."""
    recipe = RECIPES[name]
    setup = shorter(recipe, folder)
    if recipe.after is not None:
        setup = begun(setup, tmp_path / "first.safetensors")
    with pytest.raises(Enough):
        train(setup, tmp_path, progress=after(12), saving=NEVER)


@pytest.mark.parametrize(
    "name",
    [
        "penn-treebank/variational-lstm-medium",
        "penn-treebank/fraternal-awd-lstm",
        "wikitext2/awd-lstm",
        "sentiment-scale-gru/variational-gru",
        "iwslt14-de-en/r-drop",
        "cnn-dailymail/bart-large-r-drop",
        "mrpc/lr-drop",
    ],
)
def test_recipes_run_on_the_real_data(name, data_dir, tmp_path):
    where = data_dir / "nlu" if name.startswith("mrpc") else data_dir
    with pytest.raises(Enough):
        train(shorter(RECIPES[name], where), tmp_path, progress=after(5), saving=NEVER)


def test_a_finished_run_has_the_scores_that_were_published(folder, tmp_path):
    recipe = RECIPES["penn-treebank/variational-lstm-medium"]
    setup = shorter(recipe, folder, limit=2_000)
    setup = replace(setup, samples=2, budget=replace(setup.budget, epochs=1))
    record = train(setup, tmp_path)
    assert {one.score for one in recipe.published_scores} <= record.scores.keys()
    assert record.scores["test_mc_perplexity"] != record.scores["test_perplexity"]


def test_a_finished_regression_has_its_error_in_the_unit_of_the_ratings(folder, tmp_path):
    setup = shorter(RECIPES["sentiment-scale/variational-lstm"], folder)
    setup = replace(setup, samples=2, budget=replace(setup.budget, epochs=1))
    scores = train(setup, tmp_path).scores
    assert 0 < scores["test_rmse"] < 1
    assert 0 < scores["test_mc_rmse"] < 1


COUNTED = [name for name, recipe in PLANNED.items() if recipe.parameters is not None]


@pytest.mark.parametrize("name", COUNTED)
def test_the_paper_preset_has_as_many_parameters_as_published(name):
    recipe = RECIPES[name]
    start = "-".join(recipe.task.split("-")[:1])
    classes = WORDS.get(recipe.task) or WORDS.get(start, 2)
    assert learnt(recipe.paper.model, classes) == recipe.parameters


@lru_cache
def learnt(model, classes):
    """How many parameters learn, of a model that is made without memory for them."""
    with torch.device("meta"):
        if ":" in model:
            made = import_function(model)(data_of(classes))
        else:
            made = untrained(model, classes)
    return sum(one.numel() for one in made.parameters() if one.requires_grad)


def test_counts_of_transformers_are_those_of_their_published_shapes():
    """Counted by hand: products with their biases, norms with two numbers a unit, tables."""

    def attention(d):
        return 4 * (d * d + d)

    def block(d, inner, looks=1):
        return looks * attention(d) + 2 * d * inner + inner + d + (looks + 1) * 2 * d

    def both(words, d, inner, layers):
        return words * d + layers * (block(d, inner) + block(d, inner, looks=2))

    def patches(d, layers):
        return (3 * 256 + 1) * d + d + (576 + 1) * d + layers * block(d, 4 * d) + 2 * d

    counts = {
        "iwslt14-de-en/r-drop": both(10_000, 512, 1_024, 6),
        "wmt14-en-de/r-drop-big": both(32_000, 1_024, 4_096, 6),
        # Learnt places, two more than texts are long, and a norm after the table, on both sides.
        "cnn-dailymail/bart-large": both(50_265, 1_024, 4_096, 12)
        + 2 * (1_026 * 1_024 + 2 * 1_024),
        "wikitext103/r-drop": (267_735 + 512) * 768 + 12 * block(768, 3_072) + 2 * 768,
        "sst2/bert-base": (28_996 + 512 + 2 + 2) * 768
        + 12 * block(768, 3_072)
        + (768 + 1) * 768
        + (768 + 1) * 2,
        "sst2/roberta-large": (50_265 + 514 + 1 + 2) * 1_024
        + 24 * block(1_024, 4_096)
        + (1_024 + 1) * 1_024
        + (1_024 + 1) * 2,
        "cifar100/vit-b16": patches(768, 12) + (768 + 1) * 100,
        "cifar100/vit-l16": patches(1_024, 24) + (1_024 + 1) * 100,
        "imagenet/vit-b16": patches(768, 12) + (768 + 1) * 1_000,
    }
    assert {name: RECIPES[name].parameters for name in counts} == counts


def test_only_the_regressors_have_no_published_count():
    assert {name.partition("/")[0] for name in set(PLANNED) - set(COUNTED)} == {
        "sentiment-scale",
        "sentiment-scale-gru",
    }


@pytest.mark.parametrize("name", PLANNED)
def test_a_recipe_stands_under_its_own_name_and_its_setups_can_be_written_down(name):
    recipe = RECIPES[name]
    assert recipe.full_name == name
    for preset in ("paper", "cpu"):
        setup = recipe.setup(preset, **given(recipe))
        values = json.loads(json.dumps(setup.to_json(), allow_nan=False))
        assert Plan.from_json(values["plan"]) == setup.plan
        assert from_json(values["objective"]) == setup.objective
        assert values["method"] == recipe.name


@pytest.mark.parametrize("name", PLANNED)
def test_the_presets_differ_in_size_and_length_and_in_no_noise(name):
    recipe = RECIPES[name]
    if recipe.cpu.model is None or recipe.paper.model is None or ":" not in recipe.paper.model:
        # Another model has other places, and there the same rates.
        assert rates(recipe.cpu.plan) == rates(recipe.paper.plan)
    else:
        assert recipe.cpu.plan == recipe.paper.plan
    assert recipe.cpu.budget.epochs < recipe.paper.budget.epochs
    assert type(recipe.cpu.budget.optimiser) is type(recipe.paper.budget.optimiser)


def rates(plan):
    return {one.pattern.rate_at(0) for one in plan.rules}


def test_rows_of_gals_table_are_in_the_order_it_claims():
    for size in ("medium", "large"):
        naive = numbers(f"penn-treebank/naive-lstm-{size}")
        for tied in ("", "-tied"):
            found = numbers(f"penn-treebank/variational-lstm-{size}{tied}")
            assert found["test_mc_perplexity"] < found["test_perplexity"]
            assert found["test_perplexity"] < naive["test_perplexity"]


def numbers(name):
    return {one.score: one.value for one in RECIPES[name].published_scores}


def test_gals_schedule_and_rates_are_those_of_the_authors_script():
    paper = RECIPES["penn-treebank/variational-lstm-large"].paper
    assert (paper.budget.learning_rate, paper.budget.clip) == (35, pytest.approx(10 / 35))
    assert [one.pattern.rate for one in paper.plan.rules] == [0.3, 0.5, 0.3, 0.5]
    # 55 epochs of 1,327 updates shrink a weight to 0.9927 of itself.
    assert (1 - paper.budget.optimiser.shrink) ** (55 * 1327) == pytest.approx(0.9927, abs=1e-4)


def test_fraternal_epochs_are_passes_over_the_data_of_two_views():
    paper = RECIPES["penn-treebank/fraternal-lstm"].paper
    views = RECIPES["penn-treebank/fraternal-lstm"].objective.views_at(1)
    assert paper.budget.epochs == 1000 * views
    schedule = paper.budget.schedule
    least = next(n for n in range(99) if 30 / schedule.factor**n < 0.1)
    losses = [1.0] + [2.0] * (schedule.patience * least)
    assert schedule.ends(losses)
    assert not schedule.ends(losses[:-1])
    assert math.isclose(schedule.patience / views, 21)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("penn-treebank/variational-lstm-mediun", "penn-treebank/variational-lstm-medium"),
        ("wikitext2/awd", "wikitext2/awd-lstm"),
    ],
)
def test_a_wrong_name_gets_the_nearest(name, nearest):
    assert is_recipe(name)
    with pytest.raises(TaskError, match=f"no recipe is called '{name}'") as raised:
        find_recipe(name)
    assert f"did you mean '{nearest}'?" in str(raised.value)


def test_a_path_is_no_recipe():
    assert not is_recipe("digits")
    assert not is_recipe("photos/cats")
    assert not is_recipe("/penn-treebank/awd-lstm")


def test_a_preset_there_is_not_is_named_with_those_there_are():
    with pytest.raises(TaskError, match=r"no preset is called 'papr'[\s\S]*did you mean 'paper'"):
        RECIPES["wikitext2/awd-lstm"].setup("papr")
    assert isinstance(RECIPES["wikitext2/awd-lstm"].preset("paper"), Preset)


def test_windows_are_those_of_the_recipe(folder):
    setup = shorter(RECIPES["penn-treebank/awd-lstm"], folder)
    _, data = task_and_data(setup)
    assert (data.train.window, data.train.varying) == (70, True)


@pytest.mark.parametrize(
    ("name", "preset", "length"),
    [
        ("wikitext103/r-drop", "paper", 512),
        ("wikitext103/r-drop", "cpu", 64),
        ("wikitext103/adaptive-r-drop", "paper", 3_072),
    ],
)
def test_a_transformer_is_scored_in_windows_as_long_as_those_it_is_trained_in(
    name, preset, length, folder
):
    setup = replace(RECIPES[name].setup(preset, data=str(folder)), limit=2_000, model=None)
    _, data = task_and_data(setup)
    assert [part.window for part in (data.train, data.validation, data.test)] == [length] * 3
    assert next(data.test.batches(1)).columns["labels"].shape[1] <= length


def test_a_recurrent_model_is_scored_in_the_tasks_own_windows(folder):
    setup = shorter(RECIPES["penn-treebank/awd-lstm"], folder)
    own = TASKS[setup.task].load(folder, setup.limit)
    _, data = task_and_data(setup)
    assert data.train.window == 70
    assert (data.validation, data.test) == (own.validation, own.test)


def test_translations_say_where_they_take_settings_of_another_direction():
    for name, recipe in RECIPES.items():
        if name not in R_DROP or not recipe.task.startswith(("iwslt14", "wmt14")):
            continue
        taken = any("this direction's own are not known" in one for one in recipe.unlike)
        assert taken == (recipe.task not in ("iwslt14-de-en", "wmt14-en-de")), name


def test_numbers_of_translations_are_shown_to_as_many_places_as_are_known():
    shown = {name: row(RECIPES[name], Path("nowhere"))[3] for name in R_DROP}
    assert shown["iwslt14-de-en/r-drop"] == "37.25"
    assert shown["wmt14-en-fr/r-drop-big"] == "43.95"
    assert shown["iwslt14-fr-en/transformer"] == ""


def test_every_published_number_names_the_text_in_which_it_was_seen():
    for name, recipe in RECIPES.items():
        for score in recipe.published_scores:
            assert score.certainty in ("paper", "code", "quoted"), name
            assert len(score.source.split()) > 2, name


def test_steps_of_k_step_r_drop_are_named_in_english():
    about = [RECIPES[f"iwslt14-de-en/r-drop-every-{k}"].about for k in (2, 5, 10)]
    assert ["2nd" in about[0], "5th" in about[1], "10th" in about[2]] == [True] * 3


R_DROP = [name for name, recipe in RECIPES.items() if recipe.source.startswith("Liang")]


def test_r_drop_is_above_its_baseline_where_both_numbers_are_known():
    pairs = [
        (name, base)
        for name, recipe in RECIPES.items()
        if name in R_DROP and recipe.published_scores
        for base_name in BASELINES.get(recipe.name, ())
        if (base := RECIPES[f"{recipe.task}/{base_name}"]).published_scores
    ]
    assert [name for name, _ in pairs] == [
        "cnn-dailymail/bart-large-r-drop",
        "sst2/roberta-large-r-drop",
    ]
    for name, base in pairs:
        ours, theirs = numbers(name), {one.score: one.value for one in base.published_scores}
        assert ours.keys() == theirs.keys()
        assert all(value > theirs[score] for score, value in ours.items()), name


BASELINES = {
    "r-drop": ("transformer",),
    "r-drop-big": ("transformer-big",),
    "adaptive-r-drop": ("adaptive",),
    "bart-large-r-drop": ("bart-large",),
    "bert-base-r-drop": ("bert-base",),
    "roberta-large-r-drop": ("roberta-large",),
    "vit-b16-r-drop": ("vit-b16",),
    "vit-l16-r-drop": ("vit-l16",),
}


def test_the_average_of_roberta_over_glue_is_the_one_that_was_published():
    found = [
        100 * one.value
        for recipe in RECIPES.values()
        if recipe.name == "roberta-large"
        for one in recipe.published_scores
    ]
    assert len(found) == 8
    assert sum(found) / 8 == pytest.approx(88.93, abs=0.006)


def test_lr_drop_claims_no_number():
    ours = [recipe for recipe in RECIPES.values() if recipe.source.startswith("Ni et al.")]
    assert len(ours) == 4 + 5 + 12
    assert not any(recipe.published_scores for recipe in ours)
    assert all("ours" in recipe.source for recipe in ours)


def test_what_r_drop_varies_is_in_the_objective_or_the_plan():
    strengths = {RECIPES[f"iwslt14-de-en/r-drop-alpha-{a}"].objective.alpha for a in (1, 3, 7, 10)}
    assert strengths == {1, 3, 7, 10}
    assert RECIPES["iwslt14-de-en/r-drop"].objective.alpha == 5
    passes = {every: RECIPES[f"iwslt14-de-en/r-drop-every-{every}"] for every in (2, 5, 10)}
    epochs = {every: one.paper.budget.epochs for every, one in passes.items()}
    plain = RECIPES["iwslt14-de-en/transformer"].paper.budget.epochs
    assert epochs == {every: round(plain * (1 + 1 / every)) for every in (2, 5, 10)}
    assert RECIPES["iwslt14-de-en/r-drop-views-3"].objective.views == 3
    pairs = [
        one.paper.plan.rules[0].pattern.rates
        for one in RECIPES.values()
        if one.name.startswith("r-drop-rates-")
    ]
    assert len(set(pairs)) == 14
    assert (0.1, 0.5) in pairs


def test_updates_of_r_drops_scripts_are_as_many_epochs():
    """Updates × batch over the examples GLUE has to train on."""
    updates = {"mnli": 123_873, "qnli": 33_112, "qqp": 113_272, "rte": 2_036, "sst2": 20_935}
    updates |= {"mrpc": 2_296, "cola": 5_336, "stsb": 3_598}
    examples = {"mnli": 392_702, "qnli": 104_743, "qqp": 363_846, "rte": 2_490, "sst2": 67_349}
    examples |= {"mrpc": 3_668, "cola": 8_551, "stsb": 5_749}
    for task, count in updates.items():
        budget = RECIPES[f"{task}/bert-base"].paper.budget
        assert budget.epochs == pytest.approx(count * budget.batch_size / examples[task], abs=0.5)
        both = RECIPES[f"{task}/bert-base-r-drop"].paper.budget
        assert both.epochs == 2 * budget.epochs
