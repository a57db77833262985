"""What a prediction remembers of a model is forgotten where the model has changed."""

from math import sqrt

import pytest
import torch
from torch import nn
from torch.nn import functional

from dropsmith.batches import arguments
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select
from dropsmith.prediction.native_dropout import native_calls
from dropsmith.prediction.native_rules import native_rules
from dropsmith.prediction.run_predict import predict
from noise.zoo import FLIPS, WIDTH, seeded

X = seeded(4, WIDTH)


class Config:
    """A configuration, as models of transformers have."""

    def __init__(self):
        self.rates = {"hidden": 0.1}


class RateElsewhere(nn.Module):
    """Functional dropout whose rate is held in one of many ways."""

    def __init__(self, read):
        super().__init__()
        self.read, self.layer, self.head = read, nn.Linear(WIDTH, 32), nn.Linear(32, 3)
        self.rates, self.rates_by_name, self.tensor = [0.1], {"hidden": [0.1]}, torch.tensor(0.1)
        self.schedule, self._rate, self.override, self.config = "low", 0.1, None, Config()
        self.register_buffer("buffer", torch.tensor(0.1))

    def forward(self, x):
        hidden = functional.dropout(self.layer(x), float(self.read(self)), self.training)
        return self.head(hidden)


def by_schedule(model):
    return {"low": 0.1, "high": 0.8}[model.schedule]


WAYS = {
    "list": (lambda m: m.rates[0], lambda m: m.rates.__setitem__(0, 0.8)),
    "mapping": (
        lambda m: m.rates_by_name["hidden"][0],
        lambda m: m.rates_by_name.update(hidden=[0.8]),
    ),
    "tensor": (lambda m: m.tensor, lambda m: setattr(m, "tensor", torch.tensor(0.8))),
    "tensor in place": (lambda m: m.tensor, lambda m: m.tensor.fill_(0.8)),
    "buffer": (lambda m: m.buffer, lambda m: m.buffer.fill_(0.8)),
    "word": (by_schedule, lambda m: setattr(m, "schedule", "high")),
    "private": (lambda m: m._rate, lambda m: setattr(m, "_rate", 0.8)),
    "absent": (
        lambda m: 0.1 if m.override is None else m.override,
        lambda m: setattr(m, "override", 0.8),
    ),
    "configuration": (
        lambda m: m.config.rates["hidden"],
        lambda m: m.config.rates.update(hidden=0.8),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_rate_that_changes_is_the_rate_of_the_next_prediction(way):
    read, change = WAYS[way]
    torch.manual_seed(0)
    model = RateElsewhere(read)
    before = predict(model, X, samples=40).mutual_information.mean()
    assert torch.equal(predict(model, X, samples=40).mutual_information.mean(), before)
    change(model)
    fresh = RateElsewhere(read)
    fresh.load_state_dict(model.state_dict())
    change(fresh)
    want = predict(fresh, X, samples=40).mean
    assert torch.equal(predict(model, X, samples=40).mean, want)


class Twice(nn.Module):
    """One site of two calls, whose rates differ."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, 32)

    def forward(self, x):
        hidden = functional.dropout(self.layer(x), 0.5, self.training)
        return functional.dropout(hidden, 0.2, self.training)[:, :3]


def test_a_rule_that_equals_the_models_own_noise_decides_at_all_its_calls():
    torch.manual_seed(0)
    model = Twice()
    (native,) = native_rules(native_calls(model.train(), arguments(model, X)))
    nearly = rule("root.dropout()", Bernoulli(rate=0.5000001), axes=native.axes)
    assert native.pattern == Bernoulli(rate=0.5)
    for each in (native, nearly):
        plan = Plan(each)
        values = predict(model, X, samples=200, plan=plan, keep=True, kind="regression").draws
        # Two draws at rate 0.5 drop three quarters, one at 0.5 and one at 0.2 three fifths.
        share, spread = float((values == 0).float().mean()), sqrt(0.75 * 0.25 / values.numel())
        assert abs(share - 0.75) < 5 * spread


def test_a_function_that_selects_sites_is_asked_at_every_prediction():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 32), nn.Linear(32, 32), nn.Linear(32, 3))
    target = {"name": "0"}
    plan = Plan(rule(select(where=lambda site: site.name == target["name"]), FLIPS))
    by_name = {name: Plan(rule(name, FLIPS)) for name in ("0", "1")}
    for name, other in by_name.items():
        target["name"] = name
        got = predict(model, X, samples=20, plan=plan, keep=True).draws
        want = predict(model, X, samples=20, plan=other, keep=True).draws
        torch.testing.assert_close(got, want)


class RateBeside(nn.Module):
    """A model that is told its rate."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, 3)

    def forward(self, x, rate):
        return self.layer(functional.dropout(x, float(rate), self.training))


def test_a_rate_that_is_an_argument_is_the_one_of_the_call():
    torch.manual_seed(0)
    model = RateBeside()
    uncertainties = [
        predict(model, (X, torch.tensor(rate)), samples=40).mutual_information.mean()
        for rate in (0.1, 0.8)
    ]
    assert uncertainties[1] > 3 * uncertainties[0]


def test_a_module_that_becomes_another_is_sampled_as_what_it_is():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 32), nn.Dropout(0.5), nn.Linear(32, 3))
    predict(model, X, samples=20)
    model[1].__class__ = nn.AlphaDropout
    want = predict(nn.Sequential(model[0], nn.AlphaDropout(0.5), model[2]), X, samples=20).mean
    torch.testing.assert_close(predict(model, X, samples=20).mean, want)


@pytest.mark.parametrize("replay", [True, False])
def test_a_batch_by_name_is_tried_apart_from_one_by_position(replay):
    model = nn.Sequential(nn.Linear(WIDTH, 8), nn.Dropout(0.4), nn.Linear(8, 2))
    by_position = predict(model, X, 4, kind="regression")
    by_name = predict(model, {"input": X}, 4, kind="regression", replay=replay)
    torch.testing.assert_close(by_name.mean, by_position.mean)
