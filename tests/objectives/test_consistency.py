"""Which pairs, rows and items are compared, and what is refused."""

from itertools import combinations
from math import inf, nan

import pytest
import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import consistency
from dropsmith.objectives.distances import (
    jensen_shannon,
    per_label,
    squared_distance,
    squared_error,
    symmetric_kl,
)
from dropsmith.passes.view_values import Views


def draw(n: int, *shape: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(n, *shape, dtype=torch.float64, generator=generator))


def views_of(outputs: tuple[Tensor, ...], rows: int | None = None) -> Views:
    batches = tuple(torch.zeros(len(output), 3) for output in outputs)
    return Views(outputs=outputs, batches=batches, shared_rows=rows or len(outputs[0]))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_all_pairs_of_views_are_compared(n: int) -> None:
    outputs = draw(n, 5, 7)
    pairs = [symmetric_kl(outputs[i], outputs[j]) for i, j in combinations(range(n), 2)]
    mean = consistency(views_of(outputs), symmetric_kl)
    torch.testing.assert_close(mean.value, torch.stack(pairs).mean())
    assert mean.count == len(pairs) * 5


def test_only_the_rows_that_all_views_have_are_compared() -> None:
    first, second = draw(2, 8, 4, 7)
    part = views_of((first, second[:3]), rows=3)
    mean = consistency(part, symmetric_kl, masks=[torch.ones(8, 4, dtype=torch.bool)])
    torch.testing.assert_close(mean.value, symmetric_kl(first[:3], second[:3]).mean())
    assert mean.count == 12


def test_views_of_equal_size_that_share_some_rows_are_compared_there() -> None:
    first, second = draw(2, 8, 7)
    mean = consistency(views_of((first, second), rows=3), squared_distance)
    torch.testing.assert_close(mean.value, squared_distance(first[:3], second[:3]).mean())


@pytest.mark.parametrize("layout", ["flattened", "time first"])
def test_whole_batches_may_have_their_outputs_in_any_layout(layout: str) -> None:
    outputs = draw(2, 4, 6, 7)
    change = (lambda x: x.flatten(0, 1)) if layout == "flattened" else (lambda x: x.transpose(0, 1))
    batches = (torch.zeros(4, 6), torch.zeros(4, 6))
    whole = {"rows": 4, "shared_rows": 4}
    moved = Views(outputs=tuple(map(change, outputs)), batches=batches, **whole)
    mean = consistency(moved, symmetric_kl)
    torch.testing.assert_close(mean.value, symmetric_kl(*outputs).mean())
    assert mean.count == 24


def test_a_share_of_flattened_rows_is_refused() -> None:
    first, second = draw(2, 24, 7)
    part = Views(
        outputs=(first, second[:12]),
        batches=(torch.zeros(4, 6), torch.zeros(2, 6)),
        rows=4,
        shared_rows=2,
    )
    refusal = r"2 rows that the views share[\s\S]*batch_fraction=1\.0"
    with pytest.raises(ObjectiveError, match=refusal):
        consistency(part, symmetric_kl)


def test_items_count_where_every_mask_says_so() -> None:
    outputs = draw(2, 5, 7)
    masks = [torch.tensor([1, 1, 0, 1, 1]).bool(), None, torch.tensor([1, 0, 1, 1, 1]).bool()]
    mean = consistency(views_of(outputs), symmetric_kl, masks=masks)
    torch.testing.assert_close(mean.value, symmetric_kl(*outputs)[[0, 3, 4]].mean())
    assert mean.count == 3


@pytest.mark.parametrize("distance", [symmetric_kl, jensen_shannon, squared_distance])
@pytest.mark.parametrize("fill", [nan, inf, -inf])
def test_what_is_masked_reaches_neither_value_nor_gradient(distance, fill: float) -> None:
    outputs = tuple(x.clone() for x in draw(2, 5, 7))
    want = distance(*outputs)[:4].mean()
    for output in outputs:
        output[4] = fill
        output.requires_grad_()
    mask = torch.tensor([1, 1, 1, 1, 0]).bool()
    got = consistency(views_of(outputs), distance, masks=[mask]).value
    torch.testing.assert_close(got, want)
    for slope in torch.autograd.grad(got, outputs):
        assert slope.isfinite().all()
        assert slope[4].abs().max() == 0


@pytest.mark.parametrize("mask", [torch.tensor([1, 1, 0]), torch.tensor([[1, 0, 1, 1]] * 3)])
def test_separate_values_are_masked_by_row_or_one_by_one(mask: Tensor) -> None:
    outputs, mask = draw(2, 3, 4), mask.bool()
    items = squared_error(*outputs)
    want = items[mask].mean()
    got = consistency(views_of(outputs), squared_error, masks=[mask])
    torch.testing.assert_close(got.value, want)
    assert got.count == items[mask].numel()


def test_a_mask_of_single_classes_is_refused_for_a_distance_over_classes() -> None:
    with pytest.raises(ObjectiveError, match=r'kind="multi_label"'):
        consistency(views_of(draw(2, 3, 4)), symmetric_kl, masks=[torch.ones(3, 4).bool()])


@pytest.mark.parametrize(
    "mask",
    [torch.ones(3, 4).bool(), torch.ones(3, 5), torch.ones(5, 3).bool(), torch.ones(1).bool()],
)
def test_a_mask_that_does_not_fit_is_refused(mask: Tensor) -> None:
    with pytest.raises(ObjectiveError, match="does not fit logits of shape"):
        consistency(views_of(draw(2, 3, 5, 7)), symmetric_kl, masks=[mask])


@pytest.mark.parametrize("held", [0, 1, 2])
def test_the_view_that_is_held_gets_no_gradient(held: int) -> None:
    outputs = tuple(x.requires_grad_() for x in draw(3, 5, 7))
    mean = consistency(views_of(outputs), symmetric_kl, stop_gradient=held)
    slopes = torch.autograd.grad(mean.value, outputs, materialize_grads=True)
    assert [bool(slope.any()) for slope in slopes] == [view != held for view in range(3)]


def test_a_class_impossible_in_one_view_only_is_reported_with_the_views() -> None:
    outputs = tuple(x.clone() for x in draw(3, 5, 7))
    outputs[2][1, :2] = -inf
    with pytest.raises(ObjectiveError, match=r"views 0 and 2[\s\S]*2 scores[\s\S]*every view"):
        consistency(views_of(outputs), symmetric_kl)
    with pytest.raises(ObjectiveError, match="distance of views 0 and 2 is infinite"):
        consistency(views_of(outputs), squared_distance)
    assert consistency(views_of(outputs), jensen_shannon).value.isfinite()


def test_an_impossible_label_in_one_view_only_is_reported() -> None:
    outputs = tuple(x.clone() for x in draw(2, 5, 7))
    outputs[0][1, 1] = -inf
    with pytest.raises(ObjectiveError, match="views 0 and 1"):
        consistency(views_of(outputs), lambda a, b: per_label(symmetric_kl, a, b))


def test_compiled_code_is_one_graph_and_returns_infinity() -> None:
    torch._dynamo.reset()

    def run(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
        return consistency(views_of((first, second)), symmetric_kl, masks=[mask]).value

    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    first, second = draw(2, 5, 7)
    mask = torch.tensor([1, 1, 1, 0, 1]).bool()
    torch.testing.assert_close(compiled(first, second, mask), run(first, second, mask))
    first = first.clone()
    first[0, 0] = -inf
    assert compiled(first, second, mask) == inf


def test_one_view_is_refused() -> None:
    with pytest.raises(ObjectiveError, match="at least 2 views"):
        consistency(views_of(draw(1, 5, 7)), symmetric_kl)
