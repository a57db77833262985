import math

import pytest
import torch

import dropsmith as ds
from dropsmith.models._waves import waves
from dropsmith.models.adaptive_lm import AdaptiveLM, adaptive_plan
from dropsmith.objectives import RDrop
from dropsmith.objectives.losses import tokens
from dropsmith.views import views

TOKENS = torch.tensor([[3, 4, 15, 6, 7], [8, 29, 1, 12, 0]])
PLAN = adaptive_plan(branches=0.3, inner=0.1, attention=0.1, head=0.2)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return AdaptiveLM(
        words=30, width=16, heads=2, layers=2, inner=24, cutoffs=(6, 14), factor=2
    ).train()


@pytest.mark.parametrize("training", [True, False])
def test_scores_do_not_hang_on_words_that_are_still_to_come(net, training):
    net.train(training)
    later = TOKENS.clone()
    later[:, 3:] = 11
    # Without gradients and in evaluation, torch runs its layers as one call.
    with torch.set_grad_enabled(training):
        one, other = net(TOKENS), net(later)
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3:], other[:, 3:])


def test_scores_are_the_same_in_evaluation_and_a_distribution(net):
    training = net(TOKENS)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(TOKENS), training.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(training.exp().sum(-1), torch.ones(2, 5))


def test_it_has_no_noise_of_its_own(net):
    assert torch.equal(net(TOKENS), net(TOKENS))


def test_places_are_sines_and_cosines_of_falling_speed():
    found = waves(torch.tensor([0, 3]), 6, torch.zeros(1, dtype=torch.float64))
    angles = [3 / 10_000 ** (2 * i / 6) for i in range(3)]
    want = [[0.0] * 3 + [1.0] * 3, [*map(math.sin, angles), *map(math.cos, angles)]]
    torch.testing.assert_close(found, torch.tensor(want, dtype=torch.float64))


def test_words_in_another_order_have_other_scores(net):
    turned = TOKENS.flip(1)
    assert not torch.allclose(net(turned)[:, -1], net(TOKENS)[:, -1])


def test_the_published_noise_is_on_at_every_place_with_its_rate(net):
    batch = {"tokens": torch.randint(30, (64, 20), generator=torch.Generator().manual_seed(1))}
    with PLAN.installed(net, batch):
        found = ds.audit(net, batch)
    rates = {row.site.name: row.dropped for row in found.rows if row.on}
    layer = {"dropout": 0.1, "dropout1": 0.3, "dropout2": 0.3, "self_attn.attention()": 0.1}
    want = {f"layers.{i}.{name}": rate for i in range(2) for name, rate in layer.items()}
    want |= {"embedded": 0.3, "head.input": 0.2, "head.narrowed.1": 0.2, "head.narrowed.2": 0.2}
    assert rates.keys() == want.keys()
    # The fewest units a mask has are 64 × 20 × 4.
    bound = {name: 6 * math.sqrt(rate * (1 - rate) / 5_120) for name, rate in want.items()}
    assert all(abs(rates[name] - rate) < bound[name] for name, rate in want.items())
    assert found.outputs_differ


def test_r_drop_of_two_views_is_the_mean_loss_and_the_agreement_over_all_words(net):
    batch = {"tokens": TOKENS, "labels": TOKENS.flip(0)}
    objective = RDrop(alpha=1.0)
    with PLAN.installed(net, batch):
        made = views(net, batch, n=2)
        terms = objective.terms(made, lambda output, given: tokens(output, given["labels"]))
    p, q = (one.double().exp() for one in made.outputs)
    picked = [one.gather(-1, batch["labels"][..., None]).log() for one in (p, q)]
    task = -sum(one.mean() for one in picked) / 2
    apart = ((p - q) * (p.log() - q.log())).sum(-1).mean() / 2
    total = objective.total(terms, 1).double()
    torch.testing.assert_close(total, task + apart / 2, rtol=1e-4, atol=1e-6)
    assert apart > 0.01
