"""The chunked head against the definition in float64, finite differences and torch's own loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    Mix,
    consistency_from_scores,
    fused_linear_consistency,
)
from dropsmith.kernels.fused_linear_consistency.reference import (
    fused_linear_consistency as by_definition,
)

DISTANCES = ("symmetric_kl", "jensen_shannon", "squared")
CLOSE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 0.03}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def given(views=2, items=13, width=7, classes=19, dtype=torch.float64, biased=True):
    """Hidden states, weight, bias and labels, of which two items do not count."""
    tensors = [drawn(1, views, items, width), drawn(2, classes, width), drawn(3, classes)]
    hidden, weight, bias = (x.to(dtype).requires_grad_() for x in tensors)
    labels = torch.arange(items) * 5 % (classes - 3)
    labels[[2, 7]] = -100
    return hidden, weight, bias if biased else None, labels


def results(head, tensors, settings, mix, asked=None):
    hidden, weight, bias, labels = tensors
    sums = head(hidden, weight, bias, labels, settings, mix)
    asked = asked or mix
    total = (sums.task.double() * torch.tensor(asked.task, dtype=torch.float64)).sum()
    total = total + asked.consistency * sums.consistency.double()
    inputs = [x for x in (hidden, weight, bias) if x is not None]
    return sums, torch.autograd.grad(total / 3, inputs)


def assert_same(tensors, settings, mix, asked=None, dtype=torch.float64):
    exact = [
        x.detach().double().requires_grad_() if x is not None and x.is_floating_point() else x
        for x in tensors
    ]
    found, grads = results(fused_linear_consistency, tensors, settings, mix, asked)
    expected, others = results(by_definition, exact, settings, mix, asked)
    assert found.item_count == expected.item_count
    for a, b in zip([*found[:2], *grads], [*expected[:2], *others], strict=True):
        scale = float(b.detach().abs().max()) + 1e-12
        assert float((a.detach().double() - b.detach()).abs().max()) <= CLOSE[dtype] * scale


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("distance", DISTANCES)
def test_sums_and_gradients_are_those_of_the_definition(distance, dtype):
    assert_same(
        given(dtype=dtype), HeadSettings(distance=distance), Mix((0.5, 0.5), 1.5), dtype=dtype
    )


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("items", [1, 2, 5, 512])
def test_the_number_of_items_at_a_time_changes_nothing(distance, items):
    assert_same(given(), HeadSettings(distance=distance, items=items), Mix((0.5, 0.5), 1.0))


@pytest.mark.slow
def test_classes_so_many_that_four_items_fill_a_block_change_nothing():
    assert_same(given(width=2, classes=2**18, biased=False), HeadSettings(), Mix((1, 1), 1.0))


def test_labels_whose_probability_is_zero_in_float32_have_their_finite_loss():
    hidden, weight, _, labels = given(biased=False)
    with torch.no_grad():
        hidden *= 200
    tensors = (hidden.detach().float().requires_grad_(), weight.detach().float(), None, labels)
    assert not torch.softmax(tensors[0].detach() @ tensors[1].t(), -1).all()
    tensors[1].requires_grad_()
    assert_same(tensors, HeadSettings(smoothing=0.1), Mix((0.5, 0.5), 1.0), dtype=torch.float32)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("cap", [None, 2.0])
def test_smoothing_caps_and_missing_classes_are_those_of_the_definition(distance, smoothing, cap):
    hidden, weight, bias, labels = given()
    with torch.no_grad():
        bias[-2:] = -torch.inf
    settings = HeadSettings(distance=distance, smoothing=smoothing, cap=cap)
    found, grads = results(
        fused_linear_consistency, (hidden, weight, bias, labels), settings, Mix((1, 1), 2.0)
    )
    expected, others = results(
        by_definition, (hidden, weight, bias, labels), settings, Mix((1, 1), 2)
    )
    for a, b in zip([*found[:2], *grads[:2]], [*expected[:2], *others[:2]], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(grads[2][:-2], others[2][:-2], rtol=1e-9, atol=1e-10)
    assert not grads[2][-2:].any()


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("biased", [True, False])
def test_one_two_and_three_views_with_and_without_a_bias(views, biased):
    mix = Mix(tuple(1 / (1 + v) for v in range(views)), 0.7)
    assert_same(given(views=views, biased=biased), HeadSettings(), mix)


@pytest.mark.parametrize(
    "asked", [Mix((1, 1), 0.3), Mix((1, 0), 1.0), Mix((0, 0), 1.0), Mix((0.2, 0.2), 0)]
)
def test_another_mix_than_the_one_foreseen_is_exact_too(asked):
    assert_same(given(), HeadSettings(), Mix((0.5, 0.5), 1.0), asked)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_gradient_that_is_changed_in_place_does_not_reach_the_next_one(factor):
    hidden, weight, _, labels = given()
    mix = Mix((0.5, 0.5), 1.0)
    sums = fused_linear_consistency(hidden, weight, None, labels, HeadSettings(), mix)
    total = factor * (0.5 * sums.task.sum() + sums.consistency)
    total.backward(retain_graph=True)
    first = weight.grad.clone()
    weight.grad.zero_()
    total.backward(retain_graph=True)
    total.backward()
    torch.testing.assert_close(weight.grad, 2 * first, rtol=1e-12, atol=0)


def test_gradients_are_those_of_finite_differences():
    hidden, weight, bias = (
        x.requires_grad_() for x in (drawn(1, 2, 4, 3), drawn(2, 5, 3), drawn(3, 5))
    )
    tensors, labels = (hidden, weight, bias), torch.tensor([0, 4, -100, 2])
    for distance in DISTANCES:
        settings = HeadSettings(distance=distance, cap=3.0, smoothing=0.1)
        mix = Mix((1.0, 0.5), 0.7)
        assert torch.autograd.gradcheck(
            lambda *x, s=settings, m=mix: fused_linear_consistency(*x, labels, s, m)[:2], tensors
        )


def test_one_view_is_torchs_cross_entropy():
    hidden, weight, bias, labels = given(views=1)
    found, grads = results(
        fused_linear_consistency,
        (hidden, weight, bias, labels),
        HeadSettings(smoothing=0.2),
        Mix((1.0,), 0),
    )
    expected = F.cross_entropy(
        F.linear(hidden[0], weight, bias), labels, label_smoothing=0.2, reduction="sum"
    )
    torch.testing.assert_close(found.task[0], expected)
    others = torch.autograd.grad(expected / 3, [hidden, weight, bias])
    for a, b in zip(grads, others, strict=True):
        torch.testing.assert_close(a, b)


def test_equal_views_agree_and_a_shift_of_all_scores_does_not_part_them():
    hidden, weight, bias, labels = given()
    same = hidden[:1].expand(2, -1, -1)
    equal = fused_linear_consistency(same, weight, bias, labels, HeadSettings(), Mix((1, 1), 1))
    # A processor may round the products of the second view's rows otherwise.
    assert float(equal.consistency.detach()) < 1e-12
    wide = torch.cat([hidden[:1], hidden[:1]])
    wide = torch.cat([wide, torch.tensor([0.0, 3.0]).double().view(2, 1, 1).expand(2, 13, 1)], -1)
    shifted = torch.cat([weight, torch.ones(19, 1, dtype=torch.float64)], 1)
    sums = fused_linear_consistency(wide, shifted, bias, labels, HeadSettings(), Mix((1, 1), 1))
    assert float(sums.consistency.detach()) < 1e-12


def test_nothing_but_padding_gives_zeros():
    hidden, weight, bias, labels = given()
    sums, grads = results(
        fused_linear_consistency,
        (hidden, weight, bias, torch.full_like(labels, -100)),
        HeadSettings(),
        Mix((1, 1), 1),
    )
    assert sums.item_count == 0
    assert not sums.task.any()
    assert not any(g.any() for g in grads)


def test_not_a_number_in_padding_reaches_nothing():
    hidden, weight, bias, labels = given()
    with torch.no_grad():
        hidden[:, 2] = torch.nan
    sums, grads = results(
        fused_linear_consistency, (hidden, weight, bias, labels), HeadSettings(), Mix((1, 1), 1)
    )
    assert bool(torch.isfinite(sums.task).all())
    assert all(bool(torch.isfinite(g).all()) for g in grads)


def test_a_weight_that_is_also_the_embedding_gets_both_gradients():
    _, weight, _, labels = given(width=7)
    words = torch.arange(13)
    hidden = weight[words].expand(2, -1, -1) * torch.tensor([1.0, 1.1]).double().view(2, 1, 1)
    found = fused_linear_consistency(hidden, weight, None, labels, HeadSettings(), Mix((1, 1), 1))
    (grad,) = torch.autograd.grad(found.task.sum() + found.consistency, [weight], retain_graph=True)
    expected = by_definition(hidden, weight, None, labels, HeadSettings(), Mix((1, 1), 1))
    (other,) = torch.autograd.grad(expected.task.sum() + expected.consistency, [weight])
    torch.testing.assert_close(grad, other)


def test_without_gradients_only_the_sums_are_made():
    hidden, weight, bias, labels = given()
    with torch.no_grad():
        sums = fused_linear_consistency(
            hidden, weight, bias, labels, HeadSettings(), Mix((1, 1), 1)
        )
    assert not sums.task.requires_grad


def test_half_precision_is_as_close_to_the_definition_as_torchs_own_half_precision():
    """Both round the same scores; what is added up and what is divided by n is not rounded."""
    for dtype in (torch.float16, torch.bfloat16):
        tensors = given(items=40, width=16, classes=300, dtype=dtype)
        mix = Mix((0.5 / 4096, 0.5 / 4096), 1.5 / 4096)
        exact = [x.detach().double().requires_grad_() for x in tensors[:3]]
        _, expected = results(by_definition, (*exact, tensors[3]), HeadSettings(), mix)
        _, mine = results(fused_linear_consistency, tensors, HeadSettings(items=16), mix)
        _, theirs = results(by_definition, tensors, HeadSettings(), mix)
        for a, b, right in zip(mine, theirs, expected, strict=True):
            assert a.dtype == dtype
            assert distance(a, right) <= 1.2 * distance(b, right)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b).norm())


def test_gradients_of_many_items_do_not_vanish_in_float16():
    """A mean over 65 536 items is 1.5e-5 each, and a class's share of that below the least half."""
    tensors = given(items=8, width=16, classes=300, dtype=torch.float16)
    mix, scaled = Mix((2.0**-16,) * 2, 2.0**-16), Mix((1.0,) * 2, 1.0)
    hidden, weight, bias, labels = tensors
    wide = [x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    _, expected = results(by_definition, (*wide, labels), HeadSettings(), scaled)
    # As a gradient scaler asks for it: the scale comes in backward, after the mix was foreseen.
    sums = fused_linear_consistency(hidden, weight, bias, labels, HeadSettings(), mix)
    total = (2.0**16 / 3) * (2.0**-16 * (sums.task.sum() + sums.consistency))
    grads = torch.autograd.grad(total, [hidden, weight, bias])
    for a, b in zip(grads, expected, strict=True):
        assert distance(a, b) <= 5e-3 * float(b.norm())


def scores_of(views=2, items=13, classes=19, dtype=torch.float64):
    labels = torch.arange(items) * 5 % (classes - 3)
    labels[[2, 7]] = -100
    return (3 * drawn(4, views, items, classes)).to(dtype).requires_grad_(), labels


def on_scores(scores, labels, settings, mix):
    """The head by definition with the scores as hidden states of a head that changes nothing."""
    none = torch.eye(scores.shape[-1], dtype=scores.dtype)
    sums = by_definition(scores, none, None, labels, settings, mix)
    return sums, summed(sums, mix, scores)


def summed(sums, mix, scores):
    total = (sums.task * torch.tensor(mix.task)).sum() + mix.consistency * sums.consistency
    return torch.autograd.grad(total, scores)[0]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("cap", [None, 2.0])
def test_from_scores_the_sums_and_gradients_are_those_of_the_definition(distance, views, cap):
    scores, labels = scores_of(views)
    settings = HeadSettings(distance=distance, smoothing=0.1, cap=cap, items=5)
    mix = Mix((0.5, 0.25, 0.125)[:views], 0.75)
    found = consistency_from_scores(scores, labels, settings)
    expected, grad = on_scores(scores, labels, settings, mix)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(summed(found, mix, scores), grad, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("distance", DISTANCES)
def test_each_item_may_lack_classes_of_its_own(distance):
    """The oracle is the definition on each item's own classes, one item at a time."""
    scores, labels = scores_of()
    lacking = drawn(5, 13, 19) > 0.6
    lacking[:, :16] &= torch.arange(16) != labels.clamp(min=0)[:, None]
    with torch.no_grad():
        scores.masked_fill_(lacking, -torch.inf)
    settings, mix = HeadSettings(distance=distance, smoothing=0.1, items=6), Mix((0.5, 0.25), 0.5)
    found = consistency_from_scores(scores, labels, settings)
    grad = summed(found, mix, scores)
    task, consistency, expected = torch.zeros(2).double(), torch.zeros(()).double(), []
    for item in range(13):
        there = ~lacking[item]
        own = scores[:, item : item + 1, there].detach().requires_grad_()
        new = labels[item : item + 1]
        new = torch.where(new < 0, new, there[: int(new.clamp(min=0))].sum())
        sums, one = on_scores(own, new, settings, mix)
        task, consistency = task + sums.task.detach(), consistency + sums.consistency.detach()
        expected.append(torch.zeros(2, 19).double().masked_scatter(there, one[:, 0]))
    torch.testing.assert_close(found.task, task)
    torch.testing.assert_close(found.consistency, consistency)
    torch.testing.assert_close(grad, torch.stack(expected, 1), rtol=1e-9, atol=1e-10)


def test_a_class_in_one_view_only_is_infinitely_far_but_for_jensen_shannon():
    scores, labels = scores_of()
    with torch.no_grad():
        scores[0, 1, 18] = -torch.inf
    for name in DISTANCES:
        found = consistency_from_scores(scores, labels, HeadSettings(distance=name))
        assert bool(found.consistency.isinf()) == (name != "jensen_shannon")
        assert not summed(found, Mix((1, 1), 1), scores).isnan().any()
    p, q = scores.detach()[:, 1].softmax(-1)
    settings = HeadSettings(distance="jensen_shannon")
    one = consistency_from_scores(scores[:, 1:2], labels[1:2], settings).consistency
    # Without class 18 in p, KL(q‖m) takes log 2 for it.
    m = (p + q) / 2
    forth = (p[:18] * (p[:18] / m[:18]).log()).sum()
    torch.testing.assert_close(one.detach(), (forth + (q * (q / m).log()).sum()) / 2)


def test_from_scores_backward_makes_one_buffer_of_their_size_and_keeps_none():
    scores, labels = scores_of(items=64, classes=400, dtype=torch.float32)
    most = peak_bytes(scores, labels)
    assert most < 1.6 * scores.nbytes


def peak_bytes(scores, labels):
    settings = HeadSettings(items=8)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        sums = consistency_from_scores(scores, labels, settings)
        torch.autograd.grad(sums.task.sum() + sums.consistency, scores)
    found = profile.profiler.kineto_results.events()
    held = peak = 0
    for event in sorted((e for e in found if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
