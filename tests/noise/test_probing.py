"""A model that was looked at is as it was: buffers, modes, generators, and what it keeps itself."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from dropsmith.noise import noise_of
from dropsmith.noise.find_sites import sites
from dropsmith.noise.probing import state_unchanged
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction import predict


class Keeps(nn.Module):
    """Reassigns a buffer, writes to another, fills one that was empty, and draws from all sides."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", None)
        self.register_buffer("spread", torch.ones(1).expand(5))
        self.norm, self.drop, self.layer = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        self.count += 1
        self.last = x.detach()[0]
        noise = random.random() + np.random.random()
        return self.layer(self.drop(self.norm(x - self.mean))) + noise


LOOKS = {
    "sites": sites,
    "audit": audit,
    "install": lambda model, x: Plan(rule("drop", Bernoulli(rate=0.2))).install(model, x),
    "predict": lambda model, x: predict(model, x, samples=3, kind="values"),
}


def generators():
    numpy = np.random.get_state()
    return torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2:], random.getstate()


def buffers(model):
    return {
        name: (id(value), None if value is None else value.tolist())
        for module in model.modules()
        for name, value in module._buffers.items()
        if not name.startswith("_dropsmith")
    }


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.filterwarnings("ignore")
def test_buffers_modes_and_generators_are_after_a_look_what_they_were(look, training):
    torch.manual_seed(0)
    model, x = Keeps().train(training), torch.ones(6, 4)
    model.drop.train()
    before = buffers(model), generators(), [m.training for m in model.modules()]
    LOOKS[look](model, x)
    assert (buffers(model), generators(), [m.training for m in model.modules()]) == before
    assert x.eq(1).all()


def test_what_is_no_buffer_is_as_after_any_call():
    model = Keeps()
    sites(model, torch.ones(6, 4))
    assert model.calls > 0


def _fail_inside(model, x):
    with state_unchanged(model):
        model(x)
        model.eval()(x)
        raise ValueError("on purpose")


def test_a_look_at_a_planned_model_that_fails_leaves_it_too():
    model, x = Keeps(), torch.ones(6, 4)
    Plan(rule("drop", Bernoulli(rate=0.2))).install(model)
    model(x)
    before, numbers = buffers(model), noise_of(model).clock.numbers
    with pytest.raises(ValueError, match="on purpose"):
        _fail_inside(model, x)
    assert (buffers(model), noise_of(model).clock.numbers) == (before, numbers)
    assert model.training
