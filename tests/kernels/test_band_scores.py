import pytest
import torch

from dropsmith.errors import KernelError
from dropsmith.kernels.adaptive_softmax import adaptive_log_softmax
from dropsmith.kernels.lazy_logits import Bands, BandScores
from dropsmith.objectives.distances import symmetric_kl
from dropsmith.objectives.losses import tokens
from kernels.bands import given


def scores(requires_grad=True):
    states, tables, clusters, labels = given(2)
    for one in (*states, *tables, clusters):
        one.requires_grad_(requires_grad)
    return BandScores.of(states, Bands.of(tables, clusters)), (states, tables, clusters), labels


def test_looking_makes_the_log_probabilities_with_their_graph():
    later, (states, tables, clusters), _ = scores()
    assert later.is_pending
    assert later.shape == (2, 9, 23)
    found, want = later * 2, adaptive_log_softmax(states, tables, clusters) * 2
    assert not later.is_pending
    torch.testing.assert_close(found, want)
    mine = torch.autograd.grad(found.square().sum(), [*states, *tables, clusters])
    theirs = torch.autograd.grad(want.square().sum(), [*states, *tables, clusters])
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_loss_and_its_gradient_do_without_looking():
    later, (states, tables, clusters), labels = scores()
    both = labels.expand(2, -1)
    loss = tokens(later, both)
    value = loss.mean.value
    assert later.is_pending
    dense = tokens(adaptive_log_softmax(states, tables, clusters), both)
    torch.testing.assert_close(value, dense.mean.value)
    assert torch.equal(loss.mask, dense.mask)
    mine = torch.autograd.grad(value, [*states, *tables, clusters])
    theirs = torch.autograd.grad(dense.mean.value, [*states, *tables, clusters])
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_smoothed_losses_are_those_of_the_scores():
    later, (states, tables, clusters), labels = scores()
    both = labels.expand(2, -1)
    found = tokens(later, both, label_smoothing=0.2).mean.value
    dense = adaptive_log_softmax(states, tables, clusters)
    torch.testing.assert_close(found, tokens(dense, both, label_smoothing=0.2).mean.value)


def test_what_takes_it_in_without_looking_passes_its_gradient_on():
    later, (states, tables, clusters), _ = scores()
    one, other = later.cut([1, 1], 0)
    found = symmetric_kl(one, other).sum()
    dense = adaptive_log_softmax(states, tables, clusters)
    want = symmetric_kl(dense[:1], dense[1:]).sum()
    torch.testing.assert_close(found, want)
    mine = torch.autograd.grad(found, [*states, *tables, clusters])
    theirs = torch.autograd.grad(want, [*states, *tables, clusters])
    for x, y in zip(mine, theirs, strict=True):
        torch.testing.assert_close(x, y)


def test_what_takes_it_in_under_autocast_passes_its_gradient_on_as_well():
    states, tables, clusters, _ = given(2, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = [states[0], *(state.bfloat16() for state in states[1:])]
        one, other = BandScores.of(narrow, Bands.of(tables, clusters)).cut([1, 1], 0)
        found = symmetric_kl(one, other).sum()
        dense = adaptive_log_softmax(narrow, tables, clusters)
        want = symmetric_kl(dense[:1], dense[1:]).sum()
    torch.testing.assert_close(found, want)
    mine = torch.autograd.grad(found, [*states, *tables, clusters], retain_graph=True)
    theirs = torch.autograd.grad(want, [*states, *tables, clusters])
    for x, y in zip(mine, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=0.02, atol=0.02 * float(y.abs().max()))


def test_looking_at_one_part_leaves_the_others():
    later, (states, tables, clusters), _ = scores()
    one, other = later.cut([1, 1], 0)
    want = adaptive_log_softmax(states, tables, clusters)
    torch.testing.assert_close(one + 0, want[:1])
    assert other.is_pending
    assert later.is_pending


def test_weights_that_have_changed_since_are_an_error():
    later, (_, tables, _), labels = scores()
    loss = tokens(later, labels.expand(2, -1))
    with torch.no_grad():
        tables[1].add_(1.0)
    for look in (lambda: later + 0, lambda: float(loss.mean.sum)):
        with pytest.raises(KernelError, match="weights have changed since the forward"):
            look()


def test_scores_without_gradients_have_none_wherever_they_are_made():
    with torch.no_grad():
        later, _, labels = scores()
    assert not later.requires_grad
    loss = tokens(later, labels.expand(2, -1))
    assert not loss.mean.value.requires_grad
    assert not (later + 0).requires_grad
    assert not any(part.requires_grad for part in later.cut([1, 1], 0))


def test_scores_of_another_head_or_another_time_are_not_alike():
    later, (states, tables, clusters), _ = scores()
    again = BandScores.of(states, Bands.of(tables, clusters))
    assert later.alike(again)
    assert not later.alike(BandScores.of(states, Bands.of(tables, clusters.clone())))
    with torch.no_grad():
        clusters.add_(1.0)
    assert not later.alike(BandScores.of(states, Bands.of(tables, clusters)))


def test_under_autocast_products_are_half_and_probabilities_are_not():
    states, tables, clusters, labels = given(1, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        later = BandScores.of(states, Bands.of(tables, clusters))
    loss = float(tokens(later, labels.unsqueeze(0)).mean.value.detach())
    assert later.is_pending
    with torch.autocast("cpu", dtype=torch.bfloat16):
        want = adaptive_log_softmax(states, tables, clusters)
    assert later.dtype == want.dtype == torch.float32
    assert torch.equal(later + 0, want)
    assert not torch.equal(want, adaptive_log_softmax(states, tables, clusters))
    assert loss == pytest.approx(
        float(tokens(want, labels.unsqueeze(0)).mean.value.detach()), rel=1e-5
    )
