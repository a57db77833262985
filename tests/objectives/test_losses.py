"""Task losses against torch's own, and what becomes of items that are not counted."""

from math import inf, nan

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import losses


def draw(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


LABELS = torch.tensor([[1, 4, -100, 0], [2, -100, -100, -100], [3, 3, 3, 3]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_classification_is_torchs_cross_entropy(smoothing: float) -> None:
    logits = draw(3, 4, 5)
    loss = losses.classification(logits, LABELS, label_smoothing=smoothing)
    want = cross_entropy(logits.flatten(0, 1), LABELS.flatten(), label_smoothing=smoothing)
    torch.testing.assert_close(loss.mean.value, want)
    torch.testing.assert_close(
        torch.autograd.grad(loss.mean.value, logits, retain_graph=True),
        torch.autograd.grad(want, logits),
    )
    assert loss.mean.count == 8
    assert loss.mask is not None
    assert torch.equal(loss.mask, LABELS != -100)


def test_another_index_can_mark_what_is_not_counted() -> None:
    logits = draw(3, 4, 5)
    labels = LABELS.where(LABELS != -100, 3)
    loss = losses.classification(logits, labels, ignore_index=3)
    want = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=3)
    torch.testing.assert_close(loss.mean.value, want)


def test_shifted_tokens_predict_the_next_one() -> None:
    logits = draw(3, 4, 5)
    loss = losses.tokens(logits, LABELS, shift=True)
    want = cross_entropy(logits[:, :-1].flatten(0, 1), LABELS[:, 1:].flatten())
    torch.testing.assert_close(loss.mean.value, want)
    assert loss.mask is not None
    assert loss.mask.tolist() == [
        [True, False, True, False],
        [False] * 4,
        [True, True, True, False],
    ]


def test_tokens_that_are_not_shifted_are_classified() -> None:
    logits = draw(3, 4, 5)
    plain = losses.classification(logits, LABELS, 0.1)
    assert torch.equal(losses.tokens(logits, LABELS, False, 0.1).mean.value, plain.mean.value)


def test_several_labels_are_torchs_binary_cross_entropy() -> None:
    logits, labels = draw(3, 5), torch.tensor([[0, 1, 0.5, 1, 0]] * 3).double()
    loss = losses.multi_label(logits, labels)
    torch.testing.assert_close(loss.mean.value, binary_cross_entropy_with_logits(logits, labels))
    assert loss.mean.count == 15


def test_regression_is_torchs_squared_error() -> None:
    values, labels = draw(3, 2), torch.ones(3, 2).double()
    torch.testing.assert_close(
        losses.regression(values, labels).mean.value, mse_loss(values, labels)
    )
    assert losses.regression(values, labels).mask is None


@pytest.mark.parametrize("fill", [nan, inf, -inf])
@pytest.mark.parametrize("name", ["classification", "multi_label", "regression"])
def test_what_is_not_counted_reaches_neither_loss_nor_gradient(name: str, fill: float) -> None:
    outputs = draw(4, 5).detach()
    outputs[3] = fill
    outputs.requires_grad_()
    if name == "classification":
        loss = losses.classification(outputs, torch.tensor([0, 1, 2, -100]), 0.1)
    elif name == "multi_label":
        loss = losses.multi_label(outputs, torch.tensor([[0.0], [1], [1], [-100]]).expand(4, 5))
    else:
        mask = torch.tensor([[True], [True], [True], [False]]).expand(4, 5)
        loss = losses.regression(outputs, torch.zeros(4, 5).double(), mask)
    (slope,) = torch.autograd.grad(loss.mean.value, outputs)
    assert loss.mean.value.isfinite()
    assert slope.isfinite().all()
    assert slope[3].abs().max() == 0
    assert slope[:3].abs().min() > 0


def test_nothing_to_count_is_a_loss_of_zero() -> None:
    logits = draw(2, 5)
    loss = losses.classification(logits, torch.tensor([-100, -100])).mean.value
    assert loss == 0
    assert torch.autograd.grad(loss, logits)[0].abs().max() == 0


def test_label_smoothing_spreads_over_possible_classes_only() -> None:
    logits, labels = draw(3, 5), torch.tensor([0, 4, 2])
    wider = torch.cat((logits, torch.full((3, 2), -inf)), -1)
    want = losses.classification(logits, labels, 0.1).mean.value
    got = losses.classification(wider, labels, 0.1).mean.value
    torch.testing.assert_close(got, want)
    assert torch.autograd.grad(got, logits)[0].isfinite().all()


def test_a_label_that_is_off_asks_nothing_of_an_impossible_score() -> None:
    logits = torch.tensor([[-inf, 1.0]]).requires_grad_()
    loss = losses.multi_label(logits, torch.tensor([[0.0, 1.0]])).mean.value
    assert loss.isfinite()
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    logits = draw(3000, 5).detach().to(dtype)
    labels = torch.arange(3000) % 5
    loss = losses.classification(logits, labels).mean
    assert loss.sum.dtype == torch.float32
    torch.testing.assert_close(loss.value, cross_entropy(logits.float(), labels))
    assert losses.multi_label(logits, torch.ones(3000, 5)).mean.sum.dtype == torch.float32
    assert losses.regression(logits, logits).mean.sum.dtype == torch.float32


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ObjectiveError, match="integer labels must be shaped like the logits"):
        losses.classification(draw(3, 5), torch.zeros(3, 1, dtype=torch.long))
    with pytest.raises(ObjectiveError, match="integer labels"):
        losses.classification(draw(3, 5), torch.zeros(3))
    with pytest.raises(ObjectiveError, match="labels must be shaped like the logits"):
        losses.multi_label(draw(3, 5), torch.zeros(3))
    with pytest.raises(ObjectiveError, match="labels and mask must be shaped like the predictions"):
        losses.regression(draw(3, 5), torch.zeros(3))


def test_label_smoothing_outside_its_range_is_refused() -> None:
    with pytest.raises(ObjectiveError, match=r"must be a number in \[0, 1\), got 1"):
        losses.classification(draw(3, 5), torch.zeros(3, dtype=torch.long), 1)


WEIGHTS = torch.tensor([0.5, 1.0, 0.0, 4.0, 2.0], dtype=torch.float64)


def assert_same(loss: losses.Loss, want: Tensor, logits: Tensor) -> None:
    """Value and gradient are torch's."""
    torch.testing.assert_close(loss.mean.value, want)
    torch.testing.assert_close(
        torch.autograd.grad(loss.mean.value, logits, retain_graph=True),
        torch.autograd.grad(want, logits),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("labels", [LABELS, LABELS.clamp(min=0)], ids=["some ignored", "all"])
def test_weighted_classification_is_torchs_weighted_cross_entropy(
    labels: Tensor, smoothing: float
) -> None:
    logits = draw(3, 4, 5)
    loss = losses.classification(logits, labels, smoothing, class_weights=WEIGHTS)
    want = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), weight=WEIGHTS, label_smoothing=smoothing
    )
    assert_same(loss, want, logits)
    counted = labels[labels != -100]
    assert float(loss.mean.count) == float(WEIGHTS[counted].sum())
    assert loss.items == len(counted)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_probabilities_are_torchs_weighted_cross_entropy(smoothing: float) -> None:
    logits, target = draw(6, 5), draw(6, 5).detach().softmax(-1)
    loss = losses.classification(logits, target, smoothing, class_weights=WEIGHTS)
    want = cross_entropy(logits, target, weight=WEIGHTS, label_smoothing=smoothing)
    assert_same(loss, want, logits)
    assert loss.mean.count == 6


def test_weighted_tokens_of_a_causal_model_are_torchs_of_the_shifted_ones() -> None:
    logits = draw(3, 4, 5)
    loss = losses.tokens(logits, LABELS, shift=True, class_weights=WEIGHTS)
    want = cross_entropy(logits[:, :-1].flatten(0, 1), LABELS[:, 1:].flatten(), weight=WEIGHTS)
    assert_same(loss, want, logits)


def test_weighted_losses_of_unequal_parts_add_up_to_that_of_the_whole() -> None:
    logits, labels = draw(7, 5), torch.tensor([0, 3, 3, 1, 4, -100, 0])
    parts = [slice(0, 1), slice(1, 3), slice(3, 7)]
    sums = [losses.classification(logits[p], labels[p], class_weights=WEIGHTS) for p in parts]
    mean = sums[0].mean + sums[1].mean + sums[2].mean
    torch.testing.assert_close(mean.value, cross_entropy(logits, labels, weight=WEIGHTS))


def test_equal_weights_are_none_and_half_precision_is_widened() -> None:
    logits = draw(3, 4, 5).detach().bfloat16()
    even = losses.classification(logits, LABELS, class_weights=torch.full((5,), 2.0))
    torch.testing.assert_close(even.mean.value, losses.classification(logits, LABELS).mean.value)
    assert even.mean.sum.dtype == torch.float32


def test_a_batch_whose_classes_have_no_weight_adds_nothing() -> None:
    logits = draw(2, 5)
    loss = losses.classification(logits, torch.tensor([2, 2]), class_weights=WEIGHTS)
    assert (loss.mean.detach().value, loss.mean.count) == (0.0, 0.0)


def test_as_many_weights_as_classes() -> None:
    with pytest.raises(ObjectiveError, match="each of 5 classes"):
        losses.classification(draw(3, 4, 5), LABELS, class_weights=torch.ones(3))
