"""Recipes on few labels."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dropsmith.errors import TaskError
from dropsmith.models import SmallResNet
from dropsmith.objectives import UDA
from dropsmith.plans import Plan
from dropsmith.tasks.model_function import import_function
from dropsmith_recipes import RECIPES
from dropsmith_recipes.few_labels import fraternal_rows

UDAS = ("cifar10-wrn-randaugment/auto-dropout-uda", "imagenet/auto-dropout-uda")


def test_resnet_56_is_counted_by_hand():
    """Convolutions of 3 × 3 without biases, two numbers for each norm's channel, and a head."""
    convolutions = 9 * 3 * 16 + 9 * (16 * 16 * 18 + 16 * 32 + 32 * 32 * 17 + 32 * 64 + 64 * 64 * 17)
    norms = 2 * (19 * 16 + 18 * 32 + 18 * 64)
    model = import_function(RECIPES["cifar10/resnet-56"].paper.model)(SimpleNamespace(classes=10))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == convolutions + norms + 10 * 64 + 10
    assert {recipe.parameters for recipe in fraternal_rows()} == {count}


def test_a_shortcut_to_a_wider_stage_is_every_second_pixel_and_zeros():
    block = SmallResNet(depth=8, classes=2).stages[1][0].eval()
    nn.init.zeros_(block.norm2.weight)
    x = torch.rand(1, 16, 4, 4)
    out = block(x)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert not out[:, 16:].any()


def test_a_depth_that_does_not_exist_is_refused():
    with pytest.raises(TaskError, match=r"depths are 6n \+ 2"):
        SmallResNet(depth=18, classes=10)


def test_rows_of_one_section_differ_in_objective_and_rate_alone():
    for recipe in fraternal_rows():
        assert recipe.paper.labels == 4_000
        assert recipe.paper.limit == 0
        assert not recipe.published_scores  # none could be found in a text
    terms = {recipe.name: recipe.objective.reads_unlabelled for recipe in fraternal_rows()}
    assert [name for name, reads in terms.items() if reads] == [
        "pi-resnet-56-unlabelled",
        "fraternal-resnet-56-unlabelled",
    ]


@pytest.mark.parametrize("name", UDAS)
def test_uda_recipes_count_images_without_a_label_under_a_searched_plan(name):
    setup = RECIPES[name].setup("paper", plan=Plan())
    assert isinstance(setup.objective, UDA)
    assert setup.objective.average_over == "unlabelled"
    assert setup.labels in (4_000, 128_116)
    assert setup.unlabelled_ratio > 1
    assert setup.whole
    assert RECIPES[name].paper.search is not None
