"""Faults found in published R-Drop losses, each planted beside ours.

Every test first shows the fault in the few lines that make it, then that it is not here.
"""

from math import inf

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss, softmax

from dropsmith.batches import Layout
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop
from dropsmith.objectives.distances import squared_error, symmetric_kl
from dropsmith.objectives.losses import classification, regression, tokens
from dropsmith.passes.view_values import Views
from dropsmith.terms import Loss, Terms


def draw(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, *shape, dtype=torch.float64, generator=generator)
    return first, second


def terms(a: Tensor, b: Tensor, labels: Tensor, loss=tokens, **settings) -> Terms:
    views = Views(outputs=(a, b), batches=(labels, labels), shared_rows=len(labels))
    return RDrop(alpha=1, **settings).terms(views, loss)


def published_kl(a: Tensor, b: Tensor) -> Tensor:
    there = kl_div(log_softmax(a, -1), softmax(b, -1), reduction="none")
    return there + kl_div(log_softmax(b, -1), softmax(a, -1), reduction="none")


def test_raw_logits_given_to_a_kl_of_probabilities_are_not_a_number() -> None:
    a, b = draw(8, 5)
    fault = nn.KLDivLoss(reduction="none")
    assert fault(a, b).isnan().any()
    assert (fault(a, a) + fault(a, a)).isnan().any()
    assert symmetric_kl(a, b).isfinite().all()
    assert not symmetric_kl(a, a).any()


def test_a_mean_over_elements_weakens_the_term_as_classes_are_added() -> None:
    a, b = draw(8, 5)
    unlikely = torch.full((8, 95), -30.0)
    wide = torch.cat((a, unlikely), -1), torch.cat((b, unlikely), -1)
    fault = published_kl(a, b).mean(), published_kl(*wide).mean()
    assert fault[0] / fault[1] == pytest.approx(20, rel=1e-6)
    torch.testing.assert_close(symmetric_kl(*wide).mean(), symmetric_kl(a, b).mean())


def test_a_sum_over_the_batch_strengthens_the_term_with_its_size() -> None:
    a, b = draw(8, 5)
    labels = torch.arange(8) % 5
    twice = torch.cat((a, a)), torch.cat((b, b)), torch.cat((labels, labels))
    fault = published_kl(*twice[:2]).sum() / published_kl(a, b).sum()
    assert fault.item() == pytest.approx(2)
    ours = [terms(*rows, classification)["consistency"].value for rows in ((a, b, labels), twice)]
    torch.testing.assert_close(*ours)


def test_a_sum_over_the_micro_batch_depends_on_gradient_accumulation() -> None:
    a, b = draw(8, 5)
    labels = torch.arange(8) % 5
    halves = [slice(0, 4), slice(4, 8)]
    fault = sum(published_kl(a[i], b[i]).sum() for i in halves) / len(halves)
    assert (published_kl(a, b).sum() / fault).item() == pytest.approx(2)
    parts = [terms(a[i], b[i], labels[i], classification)["consistency"] for i in halves]
    whole = terms(a, b, labels, classification)["consistency"]
    torch.testing.assert_close((parts[0] + parts[1]).value, whole.value)


def test_predictions_of_two_shapes_are_compared_each_with_each() -> None:
    a, b = torch.arange(4.0), torch.arange(4.0).flip(0).unsqueeze(-1)
    with pytest.warns(UserWarning, match="broadcast"):
        fault = mse_loss(a, b, reduction="sum")
    right = mse_loss(a, b.squeeze(-1), reduction="sum")
    assert (fault.item(), right.item()) == (40.0, 20.0)
    with pytest.raises(ObjectiveError, match=r"\(4,\) and \(4, 1\)"):
        squared_error(a, b)
    with pytest.raises(ObjectiveError, match="shaped like"):
        regression(a, torch.arange(4.0).unsqueeze(-1))
    torch.testing.assert_close(regression(b, torch.zeros(4)).mean.value, b.square().mean())


def test_the_task_loss_of_one_view_only_leaves_the_other_untaught() -> None:
    a, b = draw(8, 5)
    labels = torch.arange(8) % 5
    task = terms(a, b, labels, classification)["task"]
    torch.testing.assert_close(
        task.value, (cross_entropy(a, labels) + cross_entropy(b, labels)) / 2
    )
    assert task.count == 16


def test_a_regression_also_carries_the_task_loss_of_both_views() -> None:
    a, b = draw(8)
    task = terms(a, b, torch.zeros(8), regression, kind="regression")["task"]
    torch.testing.assert_close(task.value, (a.square().mean() + b.square().mean()) / 2)


def test_a_mask_selects_what_counts_and_never_what_is_padding() -> None:
    a, b = draw(2, 3, 5)
    labels = torch.tensor([[1, 2, -100], [3, -100, -100]])
    counted, padding = labels != -100, labels == -100
    right, fault = (symmetric_kl(a[where], b[where]).mean() for where in (counted, padding))
    assert not torch.isclose(right, fault)
    torch.testing.assert_close(terms(a, b, labels)["consistency"].value, right)


def test_zeroed_padding_that_stays_in_the_count_weakens_the_term() -> None:
    a, b = draw(2, 3, 5)
    labels = torch.tensor([[1, 2, -100], [3, -100, -100]])
    term = terms(a, b, labels)["consistency"]
    zeroed = published_kl(a, b).sum(-1).mul(labels != -100) / 2
    assert not torch.isclose(zeroed.mean(), term.value)
    torch.testing.assert_close(zeroed.sum() / 3, term.value)


def test_the_consistency_counts_labels_and_not_attention_masks() -> None:
    a, b = draw(1, 4, 5)
    # A token may be seen and yet carry no label, such as the second piece of a word.
    labels = torch.tensor([[1, -100, 2, -100]])
    term = terms(a, b, labels)["consistency"]
    torch.testing.assert_close(term.value, symmetric_kl(a[0, ::2], b[0, ::2]).mean())


@pytest.mark.parametrize("log_target", [False, True])
def test_masked_classes_are_not_a_number_in_kl_div(log_target: bool) -> None:
    a, b = draw(8, 5)
    a[:, 2] = b[:, 2] = -inf
    a.requires_grad_()
    target = log_softmax(b, -1) if log_target else softmax(b, -1)
    fault = kl_div(log_softmax(a, -1), target, log_target=log_target, reduction="sum")
    assert fault.isnan()
    ours = terms(a, b, torch.zeros(8).long(), classification)["consistency"].value
    assert ours.isfinite()
    assert torch.autograd.grad(ours, a)[0].isfinite().all()


def test_a_class_masked_in_one_view_only_is_an_error_and_not_a_quiet_infinity() -> None:
    a, b = draw(8, 5)
    a[0, 2] = -inf
    with pytest.raises(ObjectiveError, match=r"1 scores are -inf in one[\s\S]*before the softmax"):
        terms(a, b, torch.zeros(8).long(), classification)


def test_a_mask_cropped_where_the_logits_are_not_is_refused() -> None:
    a, b = draw(2, 4, 5)

    def without_prefix(output: Tensor, labels: Tensor) -> Loss:
        return tokens(output[:, 1:], labels[:, 1:])

    with pytest.raises(ObjectiveError, match=r"shape \(2, 3, 1\) does not fit[\s\S]*\(2, 4, 5\)"):
        terms(a, b, torch.ones(2, 4).long(), without_prefix)


def test_the_task_term_is_that_of_one_pass_and_not_doubled() -> None:
    a, _ = draw(8, 5)
    labels = torch.arange(8) % 5
    task = terms(a, a, labels, classification)["task"].value
    torch.testing.assert_close(task, cross_entropy(a, labels))


def test_no_side_is_cut_off_from_its_gradient_unasked() -> None:
    a, b = (one.requires_grad_() for one in draw(8, 5))
    term = terms(a, b, torch.zeros(8).long(), classification)["consistency"].value
    for slope in torch.autograd.grad(term, (a, b)):
        assert slope.abs().min() > 0


def test_alpha_is_a_number_and_not_only_an_integer() -> None:
    assert RDrop(alpha=0.7).weight_at(1) == 0.35


def test_a_coefficient_is_asked_for_and_not_left_at_zero() -> None:
    with pytest.raises(TypeError, match="alpha"):
        RDrop()  # pyright: ignore[reportCallIssue]


def test_a_target_of_another_form_than_its_scores_is_refused_and_not_gathered() -> None:
    a, b = draw(2, 3, 5)
    flat = torch.zeros(6).long()
    fault = log_softmax(a, -1).view(-1, 5).gather(-1, torch.zeros(2, 3).long())
    assert fault.shape == (2, 3)  # of other tokens than those the targets belong to
    with pytest.raises(ObjectiveError, match="shaped like"):
        terms(a, b, flat, classification)


def test_a_divergence_within_clusters_of_words_is_not_that_of_the_words() -> None:
    """The adaptive softmax in published code compares tails where the true word lies in one."""
    a, b = draw(1, 6)
    head, tail = slice(0, 4), slice(4, 6)
    parts = [symmetric_kl(a[:, one], b[:, one]).sum() for one in (head, tail)]
    assert not torch.isclose(sum(parts), symmetric_kl(a, b).sum())
    found = terms(a, b, torch.tensor([5]), classification)["consistency"].value
    torch.testing.assert_close(found, symmetric_kl(a, b).mean())


def test_rows_that_stand_by_turns_are_other_pairs_than_views_one_after_the_other() -> None:
    a, b = draw(4, 5)
    stacked = torch.cat((a, b))
    fault = symmetric_kl(stacked[::2], stacked[1::2]).mean()
    right = symmetric_kl(a, b).mean()
    assert not torch.isclose(fault, right)
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), outputs=0)
    first, second = layout.cut(stacked, [4, 4])
    torch.testing.assert_close(
        terms(first, second, torch.zeros(4).long(), classification)["consistency"].value, right
    )


def test_label_smoothing_touches_the_task_loss_alone() -> None:
    a, b = draw(2, 3, 5)
    labels = torch.tensor([[1, 2, -100], [3, -100, -100]])
    hard = terms(a, b, labels)
    soft = terms(a, b, labels, lambda output, batch: tokens(output, batch, label_smoothing=0.1))
    assert torch.equal(hard["consistency"].value, soft["consistency"].value)
    assert not torch.isclose(hard["task"].value, soft["task"].value)


def test_both_terms_divide_by_the_same_tokens() -> None:
    a, b = draw(2, 3, 5)
    labels = torch.tensor([[1, 2, -100], [3, -100, -100]])
    found = terms(a, b, labels)
    assert found["task"].count == 2 * found["consistency"].count == 6
