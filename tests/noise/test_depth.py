"""Layers find each other by the share of the depth that they lie at."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dropsmith.noise.depth import counterparts, deeper_or_shallower, layers_in
from dropsmith.patterns import Bernoulli
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select

FLIPS = Bernoulli(rate=0.1)
COUNT = st.integers(1, 40)


class Stack(nn.Module):
    """Layers of one kind under a name."""

    def __init__(self, layers: int, name: str = "blocks"):
        super().__init__()
        self.name = name
        self.add_module(name, nn.ModuleList(nn.Linear(4, 4) for _ in range(layers)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in getattr(self, self.name):
            x = layer(x)
        return x


class Stages(nn.Module):
    """Stages, each of some blocks, as residual networks have them."""

    def __init__(self, *blocks: int):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.ModuleList(nn.Linear(4, 4) for _ in range(count)) for count in blocks
        )


def names(one, there, here, called=None):
    made = deeper_or_shallower(one, there, here, called or [one.selector.name])
    return [new.selector.name for new in made]


@given(COUNT, COUNT)
def test_every_layer_takes_after_exactly_the_one_that_its_middle_lies_in(count, here):
    for one in range(here):
        middle = (one + 0.5) / here
        after = [old for old in range(count) if one in counterparts(old, count, here)]
        assert len(after) == 1
        # A middle that falls on a border belongs to the layer above it.
        assert after[0] / count <= middle + 1e-9
        assert middle < (after[0] + 1) / count + 1e-9


@given(COUNT)
def test_a_stack_of_the_same_height_keeps_its_numbers(count):
    assert [list(counterparts(n, count, count)) for n in range(count)] == [
        [n] for n in range(count)
    ]


@given(COUNT, COUNT)
def test_the_order_of_layers_is_kept(count, here):
    found = [new for old in range(count) for new in counterparts(old, count, here)]
    assert found == list(range(here))


def test_steps_of_different_kinds_are_no_layers():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    assert layers_in(model, "") == 0
    assert layers_in(Stack(5), "blocks") == 5
    assert layers_in(Stack(5), "nothing") == 0
    assert layers_in(Stages(2, 3), "stages.1") == 3


def test_a_deeper_model_has_several_of_a_layer():
    assert names(rule("blocks.1", FLIPS), Stack(2), Stack(4)) == ["blocks.2", "blocks.3"]
    assert names(rule("blocks.1.weight", FLIPS), Stack(3), Stack(6)) == [
        "blocks.2.weight",
        "blocks.3.weight",
    ]


def test_a_shallower_model_has_some_of_the_layers():
    found = [names(rule(f"blocks.{n}", FLIPS), Stack(4), Stack(2)) for n in range(4)]
    assert found == [[], ["blocks.0"], [], ["blocks.1"]]


def test_blocks_are_counted_in_the_stage_they_are_in():
    there, here = Stages(2, 2), Stages(2, 4)
    assert names(rule("stages.0.1", FLIPS), there, here) == ["stages.0.1"]
    assert names(rule("stages.1.1", FLIPS), there, here) == ["stages.1.2", "stages.1.3"]


def test_layers_that_are_called_something_else_are_counted_where_they_are():
    found = names(rule("blocks.1", FLIPS), Stack(2), Stack(4, "layers"), ["layers.1"])
    assert found == ["layers.2", "layers.3"]


def test_a_name_without_numbers_stays():
    assert names(rule("blocks.*", FLIPS), Stack(2), Stack(4)) == ["blocks.*"]


@pytest.mark.parametrize(
    ("there", "depth", "here", "expected"),
    [(6, (0, 3), 12, (0, 6)), (12, (6, 12), 6, (3, 6)), (4, (1, 2), 4, (1, 2))],
)
def test_a_range_of_depths_is_drawn_to_the_height(there, depth, here, expected):
    one = rule(select("blocks.*", depth=depth), FLIPS)
    (new,) = deeper_or_shallower(one, Stack(there), Stack(here), ["blocks.*"])
    assert new.selector.depth == expected


def test_a_range_of_calls_is_drawn_by_the_modules_that_make_them():
    one = rule(select("blocks.*.attention()", depth=(0, 3)), FLIPS)
    (new,) = deeper_or_shallower(one, Stack(6), Stack(12), ["blocks.*.attention()"])
    assert new.selector.depth == (0, 6)


def test_a_range_in_which_nobody_lies_any_more_is_left_out():
    one = rule(select("blocks.*", depth=(0, 1)), FLIPS)
    assert list(deeper_or_shallower(one, Stack(4), Stack(2), ["blocks.*"])) == []
