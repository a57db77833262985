"""The usual loop for Monte-Carlo dropout, written by hand, draws fresh noise under a plan too."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.patterns import Bernoulli, Gaussian, TorchDropout
from dropsmith.plans import Plan, rule, select
from dropsmith.prediction import native_plan, predict
from prediction.noisy import NOISY, encoder, image_net, net, seeded


def wake_dropout(model):
    """What torch-uncertainty, baal and most tutorials do."""
    model.eval()
    for module in model.modules():
        if type(module).__name__.startswith("Dropout"):
            module.train()


def loop(model, batch, samples=40):
    wake_dropout(model)
    with torch.no_grad():
        return torch.stack([model(batch) for _ in range(samples)])


PLANS = {
    "no plan": None,
    "keyed": Plan(rule(select(kind="dropout"), Bernoulli(rate=0.4))),
    "gaussian": Plan(rule(select(kind="dropout"), Gaussian(rate=0.4))),
    "retuned": Plan(rule(select(kind="dropout"), TorchDropout(rate=0.4))),
    "shared by the rows": Plan(rule(select(kind="dropout"), Bernoulli(rate=0.4, shared="batch"))),
    "shared by the views": Plan(rule(select(kind="dropout"), Bernoulli(rate=0.4), views="shared")),
}
MODELS = {
    "units": (lambda: net(0.4), seeded(6, 4)),
    "pictures": (image_net, seeded(3, 1, 8, 8)),
    "texts": (encoder, seeded(3, 5, 16)),
}


# Without a plan torch's fast path for encoders leaves the dropout of texts out.
CASES = [(kind, name) for kind in MODELS for name in PLANS if (kind, name) != ("texts", "no plan")]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_pass_has_noise_of_its_own(kind, name):
    make, batch = MODELS[kind]
    model, plan = make(), PLANS[name]
    if plan is not None:
        plan.install(model, batch)
    draws = loop(model, batch, 5)
    assert all(not torch.allclose(a, b) for i, a in enumerate(draws) for b in draws[:i])


@pytest.mark.parametrize("name", ["no plan", "keyed", "retuned"])
def test_the_mean_is_that_of_predict(name):
    model, x, plan = net(0.4), seeded(6, 4), PLANS[name]
    if plan is not None:
        plan.install(model, x)
    draws = loop(model, x, 3000)
    found = predict(model, x, 400, kind="regression")
    off = (draws.mean(0) - found.mean).abs() / (draws.var(0) * (1 / 3000 + 1 / 400)).sqrt()
    assert off.max() < 5
    torch.testing.assert_close(draws.var(0), found.variance, rtol=0.2, atol=0)


def test_training_goes_on_with_the_masks_of_a_model_that_was_never_sampled():
    outputs = []
    for sampled in (False, True):
        model = net(0.4)
        PLANS["keyed"].install(model, seeded(6, 4), seed=3)
        model.train()(seeded(6, 4))
        if sampled:
            loop(model, seeded(6, 4), 7)
        outputs.append(model.train()(seeded(6, 4)))
    assert torch.equal(*outputs)


def test_batch_norm_keeps_its_statistics():
    model = image_net()
    PLANS["keyed"].install(model, seeded(3, 1, 8, 8))
    before = model[1].running_mean.clone()
    loop(model, seeded(3, 1, 8, 8), 3)
    assert torch.equal(model[1].running_mean, before)


class Calling(nn.Module):
    """A model whose parts are woken, and whose root is in eval mode."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = Body(), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x))


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)

    def forward(self, x):
        return F.dropout(self.first(x), 0.4, self.training)


@pytest.mark.parametrize("place", ["body.dropout()", "body.first", "body"])
def test_noise_at_a_part_in_train_mode_is_fresh_under_a_root_in_eval_mode(place):
    model, x = Calling(), seeded(6, 4)
    Plan(rule(place, Bernoulli(rate=0.4))).install(model, x)
    model.eval()
    model.body.train()
    with torch.no_grad():
        draws = [model(x) for _ in range(4)]
    assert all(not torch.allclose(a, b) for i, a in enumerate(draws) for b in draws[:i])


@pytest.mark.parametrize("name", ["dropout", "images", "encoder", "twice", "across rows"])
def test_a_models_own_noise_as_a_plan_is_fresh_under_the_loop(name):
    model, batch = NOISY[name]
    with native_plan(model, batch).installed(model, batch):
        first, second = loop(model, batch, 2)
    assert not torch.allclose(first, second)
