"""A noise-free view has no noise, in its forward and where checkpointing runs it again."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropsmith.passes.make_views import views
from dropsmith.passes.noise_free import noise_disabled
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import WIDTH, mlp, seeded

X = seeded(4, WIDTH)


class Checkpointed(nn.Module):
    """A block with torch's own noise, run again in backward where `reentrant` is not None."""

    def __init__(self, reentrant):
        super().__init__()
        self.reentrant, self.body = reentrant, mlp()

    def forward(self, x):
        x = x.clone().requires_grad_()
        if self.reentrant is None:
            return self.body(x)
        return checkpoint(self.body, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("noise_free", [(1,), (0,), (0, 2)])
@pytest.mark.parametrize("plan", [Plan(), Plan(rule("body.1", Bernoulli(rate=0.5)))])
def test_gradients_are_those_without_checkpointing_to_the_bit(plan, noise_free, reentrant):
    found = []
    for how in (None, reentrant):
        model = Checkpointed(how)
        with plan.installed(model):
            torch.manual_seed(1)
            first, second, third = views(model, X, 3, noise_free=noise_free).outputs
            ((first - second).square().sum() + (second * third).sum()).backward()
        assert all(module.training for module in model.modules())
        found.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("noise_free", [(0,), (1,)])
def test_a_backward_that_fails_leaves_no_module_silent(noise_free, reentrant):
    model, runs = Checkpointed(reentrant), []

    def fail(module, args):
        runs.append(module.training)
        if len(runs) > 2 and not module.training:
            raise MemoryError("on running again")

    model.body.register_forward_pre_hook(fail)
    first, second = views(model, X, 2, noise_free=noise_free).outputs
    with pytest.raises(MemoryError, match="on running again"):
        (first - second).square().sum().backward()
    assert runs[-1] is False
    assert all(module.training for module in model.modules())


def test_only_what_was_in_train_mode_is_put_back_and_batch_norm_stays():
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5).eval(), nn.BatchNorm1d(WIDTH))
    with noise_disabled(net):
        assert [module.training for module in net] == [False, False, True]
    assert [module.training for module in net] == [True, False, True]
