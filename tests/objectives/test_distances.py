"""Distances against their definitions, in float64, by a loop, and by finite differences."""

from collections.abc import Callable
from math import exp, fsum, inf, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, kl_div

from dropsmith.errors import ObjectiveError
from dropsmith.objectives.distances import (
    Distance,
    jensen_shannon,
    kl,
    mutual_kl,
    per_label,
    squared_distance,
    squared_error,
    symmetric_kl,
)

DIVERGENCES = [symmetric_kl, kl, mutual_kl, jensen_shannon]
ON_CLASSES = [*DIVERGENCES, squared_distance]
EVERY = [*ON_CLASSES, squared_error]


def pair(*shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    both = scale * torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    return [one.to(dtype).requires_grad_() for one in both]


def defined_kl(a: Tensor, b: Tensor) -> Tensor:
    log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
    return kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)


def defined_symmetric(a: Tensor, b: Tensor) -> Tensor:
    return (defined_kl(a, b) + defined_kl(b, a)) / 2


def defined_jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    middle = (a.softmax(-1) + b.softmax(-1)).div(2).log()
    halves = [kl_div(middle, one.softmax(-1), reduction="none").sum(-1) for one in (a, b)]
    return sum(halves) / 2


DEFINED: list[tuple[Distance, Callable[[Tensor, Tensor], Tensor]]] = [
    (symmetric_kl, defined_symmetric),
    (kl, defined_kl),
    (jensen_shannon, defined_jensen_shannon),
    (
        squared_distance,
        lambda a, b: torch.stack([(x - y).pow(2).mean() for x, y in zip(a, b, strict=True)]),
    ),
    (squared_error, lambda a, b: (a - b) * (a - b)),
]


@pytest.mark.parametrize(("distance", "definition"), DEFINED)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_value_and_gradient_match_the_definition(
    distance: Distance, definition: Distance, scale: float
) -> None:
    both = pair(5, 11, scale=scale)
    weights = torch.linspace(-1, 2, distance(*both).numel()).view_as(distance(*both))
    got, want = distance(*both), definition(*both)
    torch.testing.assert_close(got, want, check_dtype=True)
    slopes = [torch.autograd.grad((items * weights).sum(), both) for items in (got, want)]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("distance", EVERY)
def test_gradients_match_finite_differences(distance: Distance) -> None:
    if distance is not mutual_kl:
        assert torch.autograd.gradcheck(distance, pair(2, 3))
        assert torch.autograd.gradgradcheck(distance, pair(2, 3))


def test_symmetric_kl_matches_a_loop_over_probabilities() -> None:
    first, second = [1.0, -2.0, 0.5], [0.0, 3.0, 0.25]
    p = [exp(x) / fsum(map(exp, first)) for x in first]
    q = [exp(x) / fsum(map(exp, second)) for x in second]
    there = fsum(x * log(x / y) for x, y in zip(p, q, strict=True))
    back = fsum(y * log(y / x) for x, y in zip(p, q, strict=True))
    got = symmetric_kl(torch.tensor([first]).double(), torch.tensor([second]).double())
    assert got.item() == pytest.approx((there + back) / 2, rel=1e-12)


@pytest.mark.parametrize("distance", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_identical_views_are_exactly_zero_apart(
    distance: Distance, dtype: torch.dtype, scale: float
) -> None:
    one, _ = pair(6, 9, scale=scale, dtype=dtype)
    items = distance(one, one.clone())
    assert torch.equal(items, torch.zeros_like(items))
    (gradient,) = torch.autograd.grad(items.sum(), one)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("distance", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_compared_in_float32(
    distance: Distance, dtype: torch.dtype
) -> None:
    both = pair(6, 9, dtype=dtype)
    items = distance(*both)
    assert items.dtype == torch.float32
    torch.testing.assert_close(
        items, distance(*[x.double() for x in both]).float(), rtol=1e-5, atol=1e-6
    )
    slopes = torch.autograd.grad(items.sum(), both)
    assert all(slope.dtype == dtype and slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize("distance", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_huge_scores_give_finite_values_and_gradients(
    distance: Distance, dtype: torch.dtype
) -> None:
    both = [
        torch.tensor(x, dtype=dtype).requires_grad_() for x in ([[1e4, 0, -1e4]], [[0, 1e4, 5]])
    ]
    items = distance(*both)
    slopes = torch.autograd.grad(items.sum(), both)
    assert items.isfinite().all()
    assert (items >= 0).all()
    assert all(slope.isfinite().all() for slope in slopes)


def test_symmetric_kl_of_huge_scores_is_their_difference() -> None:
    # p and q are certain of different classes, whose scores differ by 2e4.
    apart = symmetric_kl(torch.tensor([[1e4, -1e4]]), torch.tensor([[-1e4, 1e4]]))
    torch.testing.assert_close(apart, torch.tensor([2e4]))


@pytest.mark.parametrize("distance", ON_CLASSES)
def test_a_class_impossible_in_both_views_adds_nothing(distance: Distance) -> None:
    both = pair(5, 7)
    wide = [torch.cat((x, torch.full((5, 3), -inf)), -1) for x in both]
    torch.testing.assert_close(distance(*wide), distance(*both))
    alone = torch.autograd.grad(distance(*both).sum(), both)
    among = torch.autograd.grad(distance(*wide).sum(), both)
    torch.testing.assert_close(among, alone)


@pytest.mark.parametrize("distance", ON_CLASSES)
def test_scores_of_minus_infinity_get_a_gradient_of_zero(distance: Distance) -> None:
    both = [x.detach() for x in pair(5, 7)]
    for one in both:
        one[1, 2] = one[3, :6] = -inf
        one.requires_grad_()
    for slope in torch.autograd.grad(distance(*both).sum(), both):
        assert slope.isfinite().all()
        assert slope[1, 2] == 0
        assert slope[3].abs().max() == 0 or distance is squared_distance


@pytest.mark.parametrize("distance", [symmetric_kl, mutual_kl, squared_distance])
def test_a_class_impossible_in_one_view_only_is_infinitely_far(distance: Distance) -> None:
    first, second = (x.detach() for x in pair(5, 7))
    first[2, 3] = -inf
    for items in (distance(first, second), distance(second, first)):
        assert items[2] == inf
        assert items.isfinite().sum() == 4


def test_one_sided_kl_is_infinite_only_where_the_target_is_possible() -> None:
    first, second = (x.detach() for x in pair(1, 7))
    first[0, 3] = -inf
    possible = torch.arange(7) != 3
    log_p, log_q = first.log_softmax(-1)[0, possible], second.log_softmax(-1)[0, possible]
    torch.testing.assert_close(kl(first, second)[0], (log_p.exp() * (log_p - log_q)).sum())
    assert kl(second, first).item() == inf


def test_one_sided_kl_has_a_gradient_where_only_its_target_is_impossible() -> None:
    first, second = (x.detach() for x in pair(1, 7))
    first[0, 3] = -inf
    (slope,) = torch.autograd.grad(kl(first, second.requires_grad_()).sum(), second)
    torch.testing.assert_close(slope, second.softmax(-1) - first.softmax(-1))


def test_jensen_shannon_of_views_with_nothing_in_common_is_log_two() -> None:
    both = [torch.tensor([[0.0, -inf, -inf]]), torch.tensor([[-inf, 0.0, -inf]])]
    both = [one.double().requires_grad_() for one in both]
    items = jensen_shannon(*both)
    assert items.item() == pytest.approx(log(2), rel=1e-12)
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(items.sum(), both))


def test_the_mean_of_squares_counts_real_classes_only() -> None:
    first = torch.tensor([[1.0, 2.0, -inf, -inf]])
    second = torch.tensor([[3.0, 2.0, -inf, -inf]])
    assert squared_distance(first, second).item() == 2.0


def test_a_shift_common_to_all_classes_leaves_symmetric_kl_exact() -> None:
    # Multiples of 1/64 below 2048 plus 2048 are exact in float32: only the formula can lose digits.
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(2, 64, 50, generator=generator) * 64).round() / 64
    want = defined_symmetric(first.double(), second.double())
    got = symmetric_kl(first, second + 2048)
    assert torch.equal(got, symmetric_kl(first, second))
    torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=0)
    gap = first.softmax(-1) - second.softmax(-1)
    shorter = (gap * (first - second - 2048)).sum(-1) / 2
    assert ((shorter.double() - want) / want).abs().max() > 1e-4
    assert (squared_distance(first, second + 2048) > 2000**2).all()


def test_symmetric_kl_keeps_nothing_but_the_scores_for_backward() -> None:
    both = pair(8, 100)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        symmetric_kl(*both)
    assert {x.data_ptr() for x in kept} <= {x.data_ptr() for x in both}


def test_symmetric_kl_gives_no_gradient_to_a_view_that_is_held() -> None:
    first, second = pair(3, 4)
    symmetric_kl(first.detach(), second).sum().backward()
    want = torch.autograd.grad(defined_symmetric(first, second).sum(), second)
    assert first.grad is None
    torch.testing.assert_close((second.grad,), want)


def test_mutual_kl_teaches_each_view_from_the_other_held_constant() -> None:
    first, second = pair(3, 4)
    torch.testing.assert_close(mutual_kl(first, second), symmetric_kl(first, second))
    got = torch.autograd.grad(mutual_kl(first, second).sum(), (first, second))
    # The gradient of KL(p‖q) at the scores of q is q − p.
    gap = (first.softmax(-1) - second.softmax(-1)) / 2
    torch.testing.assert_close(got, (gap, -gap))


@pytest.mark.parametrize("distance", EVERY)
def test_compiled_code_gives_the_same_value_and_gradient(distance: Distance) -> None:
    torch._dynamo.reset()
    both = pair(4, 6)
    compiled = torch.compile(distance, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*both), distance(*both))
    torch.testing.assert_close(
        torch.autograd.grad(compiled(*both).sum(), both),
        torch.autograd.grad(distance(*both).sum(), both),
    )


@pytest.mark.parametrize("distance", EVERY)
def test_autocast_changes_nothing(distance: Distance) -> None:
    both = pair(4, 6, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        items = distance(*both)
    assert torch.equal(items, distance(*both))
    assert torch.equal(
        torch.autograd.grad(items.sum(), both)[0],
        torch.autograd.grad(distance(*both).sum(), both)[0],
    )


@pytest.mark.parametrize("distance", EVERY)
def test_it_can_be_mapped_over_a_batch(distance: Distance) -> None:
    both = [x.detach() for x in pair(4, 6)]
    mapped = torch.vmap(distance)(*both)
    torch.testing.assert_close(mapped, distance(*both))


@pytest.mark.parametrize("distance", [*EVERY, lambda a, b: per_label(symmetric_kl, a, b)])
def test_views_of_different_shapes_are_not_broadcast(distance: Distance) -> None:
    with pytest.raises(ObjectiveError, match=r"\(4,\) and \(4, 1\)"):
        distance(torch.zeros(4), torch.zeros(4, 1))


def test_per_label_is_the_kl_of_bernoulli_distributions() -> None:
    both = pair(4, 6)
    p, q = (one.sigmoid() for one in both)

    def one_way(p: Tensor, q: Tensor) -> Tensor:
        entropy = binary_cross_entropy(p, p, reduction="none")
        return binary_cross_entropy(q, p, reduction="none") - entropy

    torch.testing.assert_close(per_label(symmetric_kl, *both), (one_way(p, q) + one_way(q, p)) / 2)
    torch.testing.assert_close(per_label(kl, *both), one_way(p, q))


def test_per_label_leaves_an_impossible_label_out() -> None:
    both = [torch.tensor([[1.0, -inf]]).requires_grad_(), torch.tensor([[2.0, -inf]])]
    items = per_label(symmetric_kl, *both)
    (slope,) = torch.autograd.grad(items.sum(), both[0])
    assert items[0, 1] == 0
    assert items[0, 0] > 0
    assert slope.isfinite().all()


scores = st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=6).flatmap(
    lambda a: st.tuples(
        st.just(a), st.lists(st.floats(-30, 30, width=32), min_size=len(a), max_size=len(a))
    )
)


@settings(max_examples=30, deadline=None)
@given(both=scores)
def test_symmetric_distances_do_not_care_which_view_is_first(
    both: tuple[list[float], list[float]],
) -> None:
    first, second = torch.tensor([both[0]]), torch.tensor([both[1]])
    for distance in (symmetric_kl, jensen_shannon, squared_distance, squared_error):
        assert torch.equal(distance(first, second), distance(second, first))


@settings(max_examples=30, deadline=None)
@given(both=scores)
def test_no_distance_is_ever_negative(both: tuple[list[float], list[float]]) -> None:
    first, second = torch.tensor([both[0]]), torch.tensor([both[1]])
    for distance in EVERY:
        assert (distance(first, second) >= 0).all()
        assert (distance(first, first + 1e-6 * second) >= 0).all()
    assert jensen_shannon(first, second) <= log(2) * (1 + 1e-6)


@settings(max_examples=30, deadline=None)
@given(both=scores, seed=st.integers(0, 1000))
def test_the_order_of_the_classes_does_not_matter(
    both: tuple[list[float], list[float]], seed: int
) -> None:
    first, second = torch.tensor([both[0]]).double(), torch.tensor([both[1]]).double()
    order = torch.randperm(len(both[0]), generator=torch.Generator().manual_seed(seed))
    for distance in ON_CLASSES:
        torch.testing.assert_close(
            distance(first[:, order], second[:, order]),
            distance(first, second),
            rtol=1e-9,
            atol=1e-12,
        )


@settings(max_examples=30, deadline=None)
@given(both=scores, shift=st.floats(-100, 100))
def test_divergences_ignore_a_shift_of_one_view(
    both: tuple[list[float], list[float]], shift: float
) -> None:
    first, second = torch.tensor([both[0]]).double(), torch.tensor([both[1]]).double()
    for distance in DIVERGENCES:
        torch.testing.assert_close(
            distance(first, second + shift), distance(first, second), rtol=1e-8, atol=1e-10
        )


@pytest.mark.parametrize("distance", [symmetric_kl, kl, mutual_kl, jensen_shannon])
def test_one_class_is_an_error_for_its_probability_never_changes(distance):
    with pytest.raises(ObjectiveError, match=r'have one class[\s\S]*kind="regression"'):
        distance(torch.zeros(4, 1), torch.ones(4, 1))
