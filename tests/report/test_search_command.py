"""The command of a search makes that search again, on the same data and in the same folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from dropsmith.pattern_search import ConvSpace, SequenceSpace
from dropsmith.report import Place
from dropsmith.report.search_command import search_command, train_under_plan_command
from dropsmith.tasks import Bounds, DataOptions
from learn.small import problem, searched, searches, trial

TRIALS = [trial(n, (n % 3, n % 2, n % 3), 1 / (n + 1)) for n in range(12)]
RECIPE = ("cifar10/auto-dropout", "--preset", "paper", "--trials", "3", "--seed", "2")
DATA = Place(
    data=Path("my pictures"),
    folder=Path("elsewhere"),
    data_options=DataOptions(image_size=(32, 32), bounds=Bounds(rows=50)),
)


def test_the_command_holds_what_is_not_usual():
    config = {**problem().config, "task": "cifar10", "model": "a.b:c", "precision": "bf16"}
    config["budget"] = config["budget"] | {"batch_size": 8, "learning_rate": 0.5}
    found = searches(
        searched(TRIALS[0], seed=5, pruner="asha"),
        config=config,
        seeds=3,
        environment={"data_given": True},
    )
    line = search_command(found.runs[0], found)
    assert "--seeds-per-plan 3 --pruner asha" in line
    assert "--batch-size 8 --learning-rate 0.5" in line
    assert "--data DIR --model a.b:c --precision bf16 --seed 5" in line


@pytest.mark.parametrize(("kind", "name"), [(ConvSpace, "conv"), (SequenceSpace, "sequence")])
def test_the_command_names_the_space_that_auto_may_have_chosen(kind, name):
    found = searches(searched(TRIALS[0]))
    space = kind(found.problem.space.choices, ())
    found = replace(found, problem=replace(found.problem, space=space, environment={}))
    assert f"--space {name}" in search_command(found.runs[0], found)


@pytest.mark.parametrize("name", ["conv", "units"])
def test_the_space_is_named_as_it_was_made(name):
    found = searches(searched(TRIALS[0]), environment={"space_kind": name})
    assert f"--space {name} " in search_command(found.runs[0], found)


def on_data(task="cifar10", **run):
    config = {**problem().config, "task": task}
    found = searches(searched(TRIALS[0]), config=config, environment={"data_given": True})
    return replace(found, runs=(replace(found.runs[0], **run),))


@pytest.mark.parametrize("task", ["cifar10", "my pictures"])
def test_data_its_options_and_the_folder_are_in_every_command(task):
    found = on_data(task)
    again = search_command(found.runs[0], found, DATA)
    under = train_under_plan_command(found.runs[0], found, DATA)
    for line in (again, under):
        assert line.count("'my pictures'") == 1
        assert "--image-size 32x32" in line
        assert "--bound rows=50" in line
        assert ("--data" in line) == (task == "cifar10")
    assert again.endswith("--out elsewhere")
    assert "--plan elsewhere/plan.json" in under
    assert "--out" not in under


def test_the_usual_folder_is_not_typed():
    for found in (searches(searched(TRIALS[0])), on_data(command_words=RECIPE)):
        name = found.runs[0].command_words[:1] or ("digits",)
        place = Place(folder=Path("runs/search-" + name[0].replace("/", "-")))
        assert "--out" not in search_command(found.runs[0], found, place)
        assert "--out other" in search_command(found.runs[0], found, Place(folder=Path("other")))


def test_a_recipe_keeps_its_preset_and_takes_other_trials():
    found = on_data(command_words=RECIPE)
    line = search_command(found.runs[0], found, trials=6, retrain_seeds=3, retrain_with=["none"])
    assert line == (
        "dropsmith search cifar10/auto-dropout --preset paper --seed 2 --trials 6 --data DIR "
        "--retrain-seeds 3 --retrain-with none"
    )
    assert train_under_plan_command(found.runs[0], found, DATA).startswith(
        "dropsmith train cifar10/auto-dropout --plan elsewhere/plan.json --preset paper --data"
    )
