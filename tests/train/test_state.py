import math

import pytest
import torch
from torch import nn

from dropsmith.noise.lookup import find_noise
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.train.checkpoint import Checkpoint
from dropsmith.train.state import State

PLAN = Plan(rule("1", Bernoulli(rate=0.5)))


def state(seed):
    torch.manual_seed(seed)
    # Torch's own dropout draws from its generator, the plan's noise from its key.
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4), nn.Linear(4, 1))
    PLAN.install(net, torch.ones(2, 4), seed=7)
    return State(net, torch.optim.AdamW(net.parameters(), lr=0.1))


def go_on(one, steps):
    for _ in range(steps):
        loss = one.model(torch.ones(8, 4)).square().mean()
        one.optimizer.zero_grad()
        loss.backward()
        one.optimizer.step()
        one.step += 1
    return one


def test_a_resumed_run_takes_the_very_same_steps(tmp_path):
    whole = go_on(state(0), 3)
    whole.keep_best(0.5)
    whole.loss, whole.curve = (0.1 + 0.2, 3.0), [{"step": 3, "nll": 1 / 3}]
    whole.checkpoint({}).save(tmp_path)
    go_on(whole, 4)
    resumed = state(99)
    resumed.resume(Checkpoint.load(tmp_path, {}))
    assert (resumed.step, resumed.loss, resumed.curve) == (
        3,
        (0.1 + 0.2, 3.0),
        [{"step": 3, "nll": 1 / 3}],
    )
    assert find_noise(resumed.model).step == 3
    go_on(resumed, 4)
    for ours, theirs in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for name, best in whole.best.items():
        assert torch.equal(best, resumed.best[name])


def test_the_best_weights_are_those_of_least_loss_and_later_steps_leave_them_alone():
    one = state(0)
    one.keep_best(math.nan)
    one.keep_best(2.0)
    kept = {name: value.clone() for name, value in one.model.state_dict().items()}
    go_on(one, 2)
    for nll, worse in ((2.0, 1), (math.nan, 2), (3.0, 3)):
        one.keep_best(nll)
        assert (one.best_nll, one.worse) == (2.0, worse)
    assert all(torch.equal(one.best[name], value) for name, value in kept.items())
    one.keep_best(1.0)
    assert (one.best_nll, one.worse) == (1.0, 0)


def test_a_fresh_optimizer_can_be_saved_and_resumed(tmp_path):
    state(0).checkpoint({}).save(tmp_path)
    resumed = state(1)
    resumed.resume(Checkpoint.load(tmp_path, {}))
    assert resumed.optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
