"""The space of units: every choice is the noise that it names, at the layer that it names."""

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import SearchError
from dropsmith.models import SmallLSTM, SmallMLP
from dropsmith.pattern_search import UnitTokens, space_from_json
from dropsmith.patterns import Bernoulli, DropConnect, Gaussian
from dropsmith.plans import Plan, rule

BATCH = {"features": torch.randn(6, 5)}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SmallMLP(features=5, outputs=3, width=16)


@pytest.fixture(scope="module")
def space(model):
    return ds.spaces.units(model, BATCH)


def tokens(space, **values):
    usual = {choice.name: choice.values[0] for choice in space.choices}
    return space.tokens(usual | {name.replace("__", "."): v for name, v in values.items()})


def test_each_layer_has_its_kinds_and_rates(space):
    kinds = {"units": Bernoulli, "gaussian": Gaussian, "weights": DropConnect}
    for layer in ("layers.0", "layers.1", "head"):
        for draw, pattern in kinds.items():
            for rate in (0.05, 0.5):
                chosen = {f"{layer}.draw": draw, f"{layer}.rate": rate}
                plan = space.plan(tokens(space, **chosen))
                place = f"{layer}.weight" if draw == "weights" else f"{layer}.input"
                assert plan == Plan(rule(place, pattern(rate=rate)))
    assert space.plan(tokens(space)) == Plan()
    assert space.size == (4 * 5) ** 3


def test_every_plan_of_it_can_be_installed_and_draws_noise(model, space):
    draws = space.choices[0].values
    for draw in draws[1:]:
        plan = space.plan(
            tokens(space, layers__0__draw=draw, layers__1__draw=draw, head__draw=draw)
        )
        assert len(plan.rules) == 3
        assert (ds.predict(model, BATCH, 12, plan=plan).mutual_information > 0).any()


def test_it_comes_back_from_json(space):
    assert space_from_json(space.to_json()) == space


def test_values_and_places_may_be_chosen(model):
    table = UnitTokens(draw=("none", "units"), rate=(0.1, 0.2))
    space = ds.spaces.units(model, BATCH, tokens=table, where="head.input")
    assert [(choice.name, choice.values) for choice in space.choices] == [
        ("head.draw", ("none", "units")),
        ("head.rate", (0.1, 0.2)),
    ]
    assert len(space.parts) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"draw": ("units",)}, "draw must have 'none' in it"),
        ({"draw": ("none", "tiles")}, "draw cannot be 'tiles'"),
        ({"rate": (1.5,)}, "rate"),
        ({"rate": ()}, "rate"),
        ({"rate": (0.1, "much")}, "rate"),
    ],
)
def test_values_that_mean_nothing_are_refused(values, message):
    with pytest.raises(SearchError, match=message):
        UnitTokens(**values)


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        (nn.LayerNorm(4), torch.zeros(2, 4)),
        (SmallLSTM(words=9, width=8), torch.ones(2, 5, dtype=torch.long)),
    ],
)
def test_a_model_without_such_layers_is_refused(model, batch):
    with pytest.raises(SearchError, match=r"no fully connected layer of .* reads rows of numbers"):
        ds.spaces.units(model, batch)
