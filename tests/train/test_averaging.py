"""Averaged SGD against loops written from the definition, in float64."""

import copy

import pytest
import torch
from torch import nn

from dropsmith.train.averaging import AveragedSGD

RATES = [0.5, 0.1, 0.3, 0.7, 0.2, 0.4]


def weights():
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in ((3, 2), (4,))]


def gradient(weight):
    """Some function of where the weight is, so that one wrong step spoils all later ones."""
    return weight.detach().sin() + 0.1 * weight.detach()


def by_hand(rates, start, weight_decay, shrink):
    """Every iterate, and the mean of those from `start` on, summed up in one go."""
    iterates = [[weight.detach().clone() for weight in weights()]]
    for rate in rates:
        now = []
        for weight in iterates[-1]:
            stepped = weight - rate * (weight.sin() + 0.1 * weight + weight_decay * weight)
            now.append((1 - shrink) * stepped)
        iterates.append(now)
    chosen = iterates[start:]
    mean = [sum(one[i] for one in chosen) / len(chosen) for i in range(2)]
    return iterates[-1], mean


def run(rates, start, **settings):
    made = weights()
    sgd = AveragedSGD(made, lr=99.0, **settings)
    for step, rate in enumerate(rates):
        if step == start:
            sgd.start_averaging()
        for weight in made:
            weight.grad = gradient(weight)
        sgd.param_groups[0]["lr"] = rate
        sgd.step()
    return made, sgd


@pytest.mark.parametrize("start", [0, 1, 3, 5])
@pytest.mark.parametrize("settings", [(0.0, 0.0), (0.05, 0.0), (0.0, 1e-2), (0.05, 1e-2)])
def test_steps_and_mean_are_those_of_the_definition_with_rates_that_change(start, settings):
    decay, shrink = settings
    made, sgd = run(RATES, start, weight_decay=decay, shrink=shrink)
    last, mean = by_hand(RATES, start, decay, shrink)
    for ours, theirs in zip(made, last, strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-14, atol=1e-14)
    with sgd.averages():
        for ours, theirs in zip(made, mean, strict=True):
            torch.testing.assert_close(ours.detach(), theirs, rtol=1e-13, atol=1e-13)


def test_without_averaging_it_is_torchs_own_sgd():
    theirs = weights()
    sgd = torch.optim.SGD(theirs, lr=0.3, weight_decay=0.01)
    for _ in range(4):
        for weight in theirs:
            weight.grad = gradient(weight)
        sgd.step()
    ours, _ = run([0.3] * 4, start=-1, weight_decay=0.01)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_torchs_own_asgd_lags_a_step_behind_its_rate_and_leaves_a_weight_out():
    # What this class is there for; should torch mend it, this test says so.
    theirs = weights()
    asgd = torch.optim.ASGD(theirs, lr=99.0, t0=0, lambd=0.0)
    asgd.param_groups[0]["lr"] = RATES[0]
    for rate in RATES:
        for weight in theirs:
            weight.grad = gradient(weight)
        asgd.param_groups[0]["lr"] = rate
        asgd.step()
    last, mean = by_hand(RATES, 0, 0.0, 0.0)
    assert not torch.allclose(theirs[0], last[0])
    assert not torch.allclose(asgd.state[theirs[0]]["ax"], mean[0])


def one_over_zero_within(sgd, made, before):
    with sgd.averages():
        assert not torch.equal(made[0], before[0])
        _ = 1 / 0


def test_the_weights_come_back_to_the_bit_after_their_mean_was_shown():
    made, sgd = run(RATES, 2)
    before = [weight.detach().clone() for weight in made]
    with pytest.raises(ZeroDivisionError):
        one_over_zero_within(sgd, made, before)
    assert all(torch.equal(a, b) for a, b in zip(made, before, strict=True))


def test_before_averaging_begins_the_weights_themselves_are_shown():
    made, sgd = run(RATES, start=-1)
    assert not sgd.averaging
    before = made[0].detach().clone()
    with sgd.averages():
        assert torch.equal(made[0], before)


def test_a_weight_without_a_gradient_stays_and_counts_in_the_mean():
    made = weights()
    sgd = AveragedSGD(made, lr=0.5)
    sgd.start_averaging()
    made[0].grad = torch.ones_like(made[0])
    kept = made[1].detach().clone()
    sgd.step()
    with sgd.averages():
        torch.testing.assert_close(made[1].detach(), kept)


def test_its_state_goes_through_state_dict():
    made, sgd = run(RATES[:3], 1)
    other = [nn.Parameter(weight.detach().clone()) for weight in made]
    copied = AveragedSGD(other, lr=1.0)
    copied.load_state_dict(copy.deepcopy(sgd.state_dict()))
    for one, optimizer in ((made, sgd), (other, copied)):
        for weight in one:
            weight.grad = gradient(weight)
        optimizer.step()
    with sgd.averages(), copied.averages():
        assert all(torch.equal(a, b) for a, b in zip(made, other, strict=True))


def test_a_closure_is_called_with_gradients_and_its_loss_returned():
    (weight, _) = weights()
    sgd = AveragedSGD([weight], lr=0.1)

    def closure():
        sgd.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    before = weight.detach().clone()
    assert float(sgd.step(closure).detach()) == pytest.approx(float(before.square().sum()))
    torch.testing.assert_close(weight.detach(), 0.8 * before)
