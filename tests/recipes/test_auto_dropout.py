"""AutoDropout's recipes: a search on a small run, then a large one under what it found."""

import json
import random
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import dropsmith as ds
from dropsmith.errors import TaskError
from dropsmith.learn import space_of
from dropsmith.models.small_seq2seq import SmallSeq2Seq
from dropsmith.plans.plan import Plan
from dropsmith.record import Record
from dropsmith.tasks import NO_LIMIT, TASKS, Data, Split
from dropsmith.tasks.model_function import import_function
from dropsmith.train import Saving, task_and_data, train
from dropsmith_recipes import RECIPES
from dropsmith_recipes.auto_dropout_models import transformer_xl_small
from dropsmith_recipes.auto_dropout_transfer import NAMES
from dropsmith_recipes.records import records_of
from recipes.short_data import data_of
from recipes.texts import language_folder, pair_folder

pytestmark = pytest.mark.slow

pytest.importorskip("transformers")
OURS = {name: one for name, one in RECIPES.items() if one.source.startswith("Pham")}
SEARCHED = {name: one for name, one in OURS.items() if one.cpu.search is not None}
TEXT = "penn-treebank-xl/auto-dropout"
NEVER = Saving(seconds=1e9)


class Enough(Exception):
    pass


def after(count):
    steps = iter(range(1, count))

    def progress(share, /):
        if next(steps, None) is None:
            raise Enough

    return progress


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Texts, pairs of them, and photographs by class."""
    here = pair_folder(language_folder(tmp_path_factory.mktemp("data")))
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 2)):
        for name in ("cat", "dog"):
            (here / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(here / part / name / f"{i:02d}.png")
    return here


@lru_cache(maxsize=1)
def _pictures(data, limit, bounds):
    generator = torch.Generator().manual_seed(0)
    parts = [
        Split({"image": torch.rand(20, 3, 16, 16, generator=generator), "labels": torch.arange(20)})
        for _ in range(3)
    ]
    return Data.of(parts, names=[str(i) for i in range(20)], source="noise")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """CIFAR-10's images take long to read, and photographs of 224 pixels long to look at."""
    for name in ("cifar10-wrn-augmented", "cifar10-wrn-randaugment"):
        monkeypatch.setitem(TASKS, name, replace(TASKS[name], read=_pictures))
    monkeypatch.setitem(TASKS, "imagenet", replace(TASKS["imagenet"], size=48))


def brief(setup):
    task = TASKS[setup.task]
    pairs = hasattr(task, "scorer")
    limit = 2_000 if task.perplexity else 20 if pairs else None
    size = 100 if pairs else 4  # of tokens, where texts are written
    budget = replace(setup.budget, batch_size=size)
    if setup.labels is None:
        return replace(setup, limit=limit, budget=budget)
    # Batches with rows without a label are larger, and so there are fewer in an epoch.
    return replace(setup, limit=limit, budget=replace(budget, epochs=20), labels=20)


def some_plan(space):
    """A plan of a space with noise at every group of sites, and the most elaborate kind of it."""
    draw = random.Random(0)
    tokens = [
        draw.randrange(1, len(choice.values)) if choice.name.endswith("size") else 0
        for choice in space.choices
    ]
    return space.plan(tuple(tokens))


@lru_cache
def plan_of(name, folder):
    setup = brief(RECIPES[name].cpu.search.setup(str(folder)))
    task, data = task_and_data(setup)
    kind = RECIPES[name].cpu.search.space
    return some_plan(space_of(task.model(data), data.train.rows(slice(0, 2)), kind))


@pytest.mark.parametrize("name", OURS)
def test_every_recipe_runs_twelve_steps_of_its_cpu_preset_under_a_plan_of_its_space(
    name, folder, tmp_path
):
    recipe = OURS[name]
    plan = plan_of(name, folder) if recipe.cpu.search else None
    assert plan is None or len(plan.rules) >= 3
    setup = brief(recipe.setup("cpu", data=str(folder), plan=plan))
    setup = recipe.transfer_plan(setup, "cpu")
    with pytest.raises(Enough):
        train(setup, tmp_path, progress=after(12), saving=NEVER)


@pytest.mark.parametrize("name", SEARCHED)
def test_children_of_every_search_are_trained_and_never_tested(name, folder, tmp_path):
    proxy = SEARCHED[name].cpu.search
    setup = brief(proxy.setup(str(folder)))
    assert not setup.score_test
    assert not setup.whole
    with pytest.raises(Enough):
        train(setup, tmp_path, progress=after(2), saving=NEVER)


@pytest.mark.parametrize(("preset", "length"), [("paper", 70), ("cpu", 32)])
def test_segments_are_as_long_in_what_is_reported_as_in_training(preset, length, folder):
    setup = RECIPES[TEXT].setup(preset, data=str(folder), plan=Plan())
    _, data = task_and_data(replace(setup, limit=2_000, model=None))
    assert [part.window for part in (data.train, data.validation, data.test)] == [length] * 3
    assert next(data.test.batches(1)).columns["labels"].shape == (1, length)


def test_records_under_any_searched_plan_are_runs_of_the_recipe(tmp_path):
    recipe = RECIPES[TEXT]
    for seed, rate in enumerate((0.1, 0.2)):
        plan = TASKS[recipe.task].plan("locked", rate)
        Record(config=recipe.setup("cpu", seed=seed, plan=plan).to_json()).save(tmp_path)
    other = recipe.setup("cpu", plan=plan).to_json() | {"limit": 7}
    Record(config=other).save(tmp_path)
    assert [one.config["seed"] for one in records_of(recipe, "cpu", tmp_path)] == [0, 1]
    assert records_of(recipe, "paper", tmp_path) == []


@pytest.mark.parametrize("name", SEARCHED)
def test_without_a_searched_plan_a_recipe_says_how_to_find_one(name):
    said = rf"found by a search\s+first: dropsmith search {name}[\s\S]*--plan FOLDER/plan.json"
    for preset in ("cpu", "paper"):
        with pytest.raises(TaskError, match=said):
            SEARCHED[name].setup(preset)


def test_a_recipe_with_a_plan_of_its_own_takes_no_other():
    for name in ("imagenet/resnet-50", "penn-treebank/awd-lstm"):
        with pytest.raises(TaskError, match=rf"{name} has a plan of its own[\s\S]*train the task"):
            RECIPES[name].setup("cpu", plan=Plan())


def test_a_plan_of_a_language_model_is_carried_to_both_sides_of_a_translator(folder):
    recipe = RECIPES["iwslt14-de-en/auto-dropout"]
    plan = plan_of(recipe.full_name, folder)
    setup = brief(recipe.setup("cpu", data=str(folder), plan=plan))
    found = recipe.transfer_plan(setup, "cpu").plan
    sides = ("net.model.encoder.layers", "net.model.decoder.layers")
    for one, pattern in (("query", "q_proj"), ("fed", "fc2")):
        old = next(rule for rule in plan.rules if rule.selector.name == f"layers.*.{one}")
        for side in sides:
            new = [
                rule
                for rule in found.rules
                if side in rule.selector.name and rule.selector.name.endswith(pattern)
            ]
            assert [rule.pattern for rule in new] == [old.pattern]
    same = RECIPES[TEXT].setup("cpu", data=str(folder), plan=plan)
    assert RECIPES[TEXT].transfer_plan(same, "cpu") is same


def test_rules_beside_what_was_searched_are_carried_to_a_translator_too():
    net, child = SmallSeq2Seq(words=50), transformer_xl_small(SimpleNamespace(classes=50))
    batch = {name: torch.randint(3, 50, (2, 7)) for name in ("source", "target")}
    plan = TASKS["penn-treebank-xl"].plan("dropout", 0.1)
    found = plan.transfer(net, batch, source=child, names=dict(NAMES))
    places = [one.selector.name for one in found.rules]
    assert (places[0], places[-1]) == ("net.model.*.embed_tokens", "net.lm_head.input")
    assert len(found.rules) == 6  # both branches of a layer, in encoder and decoder
    with found.installed(net, batch):
        assert all(row.on for row in ds.audit(net, batch).rows if row.how == "keyed")


WORDS = {
    "penn-treebank-xl": 10_000,
    "wikitext2-xl": 33_278,
    "imagenet": 1_000,
    "iwslt14-de-en": 10_000,
    "wmt14-en-fr": 32_000,
}


@pytest.mark.parametrize("name", OURS)
def test_the_paper_preset_has_as_many_parameters_as_it_says(name):
    with torch.device("meta"):
        data = data_of(WORDS.get(OURS[name].task, 10))
        model = import_function(OURS[name].paper.model)(data)
    learnt = (one.numel() for one in model.parameters() if one.requires_grad)
    assert sum(learnt) == OURS[name].parameters


def test_the_base_model_is_counted_by_hand():
    """Products with their biases, norms with two numbers a unit, and one table."""
    width, inner = 512, 2_048
    attention, norm = 4 * (width * width + width), 2 * width
    fed = 2 * width * inner + inner + width
    layers = 6 * (attention + fed + 2 * norm) + 6 * (2 * attention + fed + 3 * norm)
    for name, words in (("iwslt14-de-en", 10_000), ("wmt14-en-fr", 32_000)):
        assert RECIPES[f"{name}/auto-dropout"].parameters == words * width + layers


def test_a_plan_searched_on_the_small_network_fits_the_large_one():
    """Both are 28 deep, so what is found on one names places of the other."""
    paper = RECIPES["cifar10-wrn-augmented/auto-dropout"].paper
    data, batch = SimpleNamespace(classes=10), {"image": torch.rand(1, 3, 8, 8)}
    small, large = (import_function(one)(data) for one in (paper.search.model, paper.model))
    plan = some_plan(ds.spaces.conv(small, batch))
    assert any(one.mask == "one" for one in plan.rules) or len(plan.rules) >= 3
    with plan.installed(large, batch):
        assert ds.audit(large, batch).outputs_differ


def test_final_training_is_on_all_of_training_and_the_search_is_not():
    for name in ("cifar10-wrn-augmented/auto-dropout", "imagenet/auto-dropout"):
        for preset in (RECIPES[name].paper, RECIPES[name].cpu):
            assert preset.whole
            assert preset.search is not None
    setup = RECIPES["cifar10-wrn-augmented/auto-dropout"].setup("paper", plan=Plan())
    assert setup.whole
    assert setup.limit == NO_LIMIT


def test_numbers_are_those_that_are_quoted_and_none_is_invented():
    numbers = {
        (name, one.score): (one.value, one.certainty)
        for name, recipe in OURS.items()
        for one in recipe.published_scores
    }
    assert numbers == {
        ("cifar10-wrn-augmented/auto-dropout", "test_accuracy"): (0.968, "quoted"),
        ("cifar10-wrn-randaugment/auto-dropout", "test_accuracy"): (0.979, "quoted"),
        ("imagenet/resnet-50", "test_accuracy"): (0.765, "quoted"),
        ("imagenet/auto-dropout", "test_accuracy"): (0.787, "quoted"),
        ("cifar10-wrn-randaugment/auto-dropout-uda", "test_accuracy"): (0.958, "quoted"),
        ("imagenet/auto-dropout-uda", "test_accuracy"): (0.729, "quoted"),
        ("iwslt14-de-en/auto-dropout", "test_bleu"): (35.8, "quoted"),
        ("wmt14-en-fr/auto-dropout", "test_bleu"): (40.0, "quoted"),
        (TEXT, "validation_perplexity"): (58.1, "quoted"),
        (TEXT, "test_perplexity"): (54.9, "quoted"),
    }


@pytest.mark.parametrize("name", OURS)
def test_a_recipe_says_what_of_it_is_ours_and_its_setups_can_be_written_down(name):
    recipe = OURS[name]
    assert recipe.full_name == name
    assert any("ours" in one for one in recipe.unlike)
    for preset in ("paper", "cpu"):
        setup = recipe.setup(preset, plan=Plan() if recipe.preset(preset).search else None)
        json.dumps(setup.to_json(), allow_nan=False)
    assert recipe.cpu.budget.epochs < recipe.paper.budget.epochs
    assert type(recipe.cpu.budget.optimiser) is type(recipe.paper.budget.optimiser)
