"""The chunked head against the definition in float64, finite differences and torch's own loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.kernels.agreeing_head import HeadSettings, Mix, agreeing_head
from dropsmith.kernels.agreeing_head.reference import agreeing_head as by_definition

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
    total = total + asked.agreement * sums.agreement.double()
    inputs = [x for x in (hidden, weight, bias) if x is not None]
    return sums, torch.autograd.grad(total / 3, inputs)


def assert_same(tensors, settings, mix, asked=None, dtype=torch.float64):
    exact = [
        x.detach().double().requires_grad_() if x is not None and x.is_floating_point() else x
        for x in tensors
    ]
    found, grads = results(agreeing_head, tensors, settings, mix, asked)
    expected, others = results(by_definition, exact, settings, mix, asked)
    assert found.counted == expected.counted
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


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("cap", [None, 2.0])
def test_smoothing_caps_and_missing_classes_are_those_of_the_definition(distance, smoothing, cap):
    hidden, weight, bias, labels = given()
    with torch.no_grad():
        bias[-2:] = -torch.inf
    settings = HeadSettings(distance=distance, smoothing=smoothing, cap=cap)
    found, grads = results(
        agreeing_head, (hidden, weight, bias, labels), settings, Mix((1, 1), 2.0)
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


def test_gradients_are_those_of_finite_differences():
    hidden, weight, bias = (
        x.requires_grad_() for x in (drawn(1, 2, 4, 3), drawn(2, 5, 3), drawn(3, 5))
    )
    tensors, labels = (hidden, weight, bias), torch.tensor([0, 4, -100, 2])
    for distance in DISTANCES:
        settings = HeadSettings(distance=distance, cap=3.0, smoothing=0.1)
        mix = Mix((1.0, 0.5), 0.7)
        assert torch.autograd.gradcheck(
            lambda *x, s=settings, m=mix: agreeing_head(*x, labels, s, m)[:2], tensors
        )


def test_one_view_is_torchs_cross_entropy():
    hidden, weight, bias, labels = given(views=1)
    found, grads = results(
        agreeing_head, (hidden, weight, bias, labels), HeadSettings(smoothing=0.2), Mix((1.0,), 0)
    )
    expected = F.cross_entropy(
        F.linear(hidden[0], weight, bias), labels, label_smoothing=0.2, reduction="sum"
    )
    torch.testing.assert_close(found.task[0], expected)
    others = torch.autograd.grad(expected / 3, [hidden, weight, bias])
    for a, b in zip(grads, others, strict=True):
        torch.testing.assert_close(a, b)


def test_equal_views_agree_exactly_and_a_shift_of_all_scores_does_not_part_them():
    hidden, weight, bias, labels = given()
    same = hidden[:1].expand(2, -1, -1)
    equal = agreeing_head(same, weight, bias, labels, HeadSettings(), Mix((1, 1), 1))
    assert not equal.agreement.detach().any()
    wide = torch.cat([hidden[:1], hidden[:1]])
    wide = torch.cat([wide, torch.tensor([0.0, 3.0]).double().view(2, 1, 1).expand(2, 13, 1)], -1)
    shifted = torch.cat([weight, torch.ones(19, 1, dtype=torch.float64)], 1)
    sums = agreeing_head(wide, shifted, bias, labels, HeadSettings(), Mix((1, 1), 1))
    assert float(sums.agreement.detach()) < 1e-12


def test_nothing_but_padding_gives_zeros():
    hidden, weight, bias, labels = given()
    sums, grads = results(
        agreeing_head,
        (hidden, weight, bias, torch.full_like(labels, -100)),
        HeadSettings(),
        Mix((1, 1), 1),
    )
    assert sums.counted == 0
    assert not sums.task.any()
    assert not any(g.any() for g in grads)


def test_not_a_number_in_padding_reaches_nothing():
    hidden, weight, bias, labels = given()
    with torch.no_grad():
        hidden[:, 2] = torch.nan
    sums, grads = results(
        agreeing_head, (hidden, weight, bias, labels), HeadSettings(), Mix((1, 1), 1)
    )
    assert bool(torch.isfinite(sums.task).all())
    assert all(bool(torch.isfinite(g).all()) for g in grads)


def test_a_weight_that_is_also_the_embedding_gets_both_gradients():
    _, weight, _, labels = given(width=7)
    words = torch.arange(13)
    hidden = weight[words].expand(2, -1, -1) * torch.tensor([1.0, 1.1]).double().view(2, 1, 1)
    found = agreeing_head(hidden, weight, None, labels, HeadSettings(), Mix((1, 1), 1))
    (grad,) = torch.autograd.grad(found.task.sum() + found.agreement, [weight], retain_graph=True)
    expected = by_definition(hidden, weight, None, labels, HeadSettings(), Mix((1, 1), 1))
    (other,) = torch.autograd.grad(expected.task.sum() + expected.agreement, [weight])
    torch.testing.assert_close(grad, other)


def test_without_gradients_only_the_sums_are_made():
    hidden, weight, bias, labels = given()
    with torch.no_grad():
        sums = agreeing_head(hidden, weight, bias, labels, HeadSettings(), Mix((1, 1), 1))
    assert not sums.task.requires_grad
