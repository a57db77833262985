import pytest
import torch

from dropsmith.kernels.adaptive_softmax import adaptive_log_softmax, adaptive_softmax_consistency
from dropsmith.kernels.fused_linear_consistency import HeadSettings, consistency_from_scores
from kernels.bands import WORDS, Largest, given


def grads(sums, leaves):
    total = sums.task @ torch.arange(1.0, len(sums.task) + 1, dtype=sums.task.dtype)
    return torch.autograd.grad(total + 0.7 * sums.consistency, leaves, allow_unused=True)


@pytest.mark.parametrize("distance", ["symmetric_kl", "jensen_shannon", "squared"])
@pytest.mark.parametrize(("views", "smoothing"), [(1, 0.0), (1, 0.1), (2, 0.0), (3, 0.1)])
@pytest.mark.parametrize("items", [1, 4, 512])
def test_sums_and_gradients_are_those_of_all_scores_at_once(distance, views, smoothing, items):
    states, tables, clusters, labels = given(views)
    settings = HeadSettings(distance=distance, smoothing=smoothing, items=items)
    found = adaptive_softmax_consistency(states, tables, clusters, labels, settings)
    want = consistency_from_scores(adaptive_log_softmax(states, tables, clusters), labels, settings)
    assert found.item_count == want.item_count == 7
    torch.testing.assert_close((found.task, found.consistency), (want.task, want.consistency))
    leaves = [*states, *tables, clusters]
    for mine, definition in zip(grads(found, leaves), grads(want, leaves), strict=True):
        torch.testing.assert_close(mine, definition)


def test_the_loss_of_one_view_is_that_of_its_words_log_probabilities():
    states, tables, clusters, labels = given(1)
    found = adaptive_softmax_consistency(states, tables, clusters, labels, HeadSettings(items=3))
    log_p = adaptive_log_softmax(states, tables, clusters)[0]
    want = -sum(log_p[item, word] for item, word in enumerate(labels.tolist()) if word >= 0)
    torch.testing.assert_close(found.task[0], want)
    assert found.consistency == 0


def test_items_that_do_not_count_may_hold_anything():
    states, tables, clusters, labels = given(2)
    whole = adaptive_softmax_consistency(states, tables, clusters, labels, HeadSettings())
    with torch.no_grad():
        for state in states:
            state[:, [1, 6]] = torch.nan
    found = adaptive_softmax_consistency(states, tables, clusters, labels, HeadSettings())
    torch.testing.assert_close((found.task, found.consistency), (whole.task, whole.consistency))
    for grad in grads(found, states):
        assert grad.isfinite().all()


def test_no_item_to_count_is_no_loss():
    states, tables, clusters, labels = given(2)
    found = adaptive_softmax_consistency(
        states, tables, clusters, labels.fill_(-100), HeadSettings()
    )
    assert found.item_count == 0
    assert (found.task.detach().tolist(), float(found.consistency.detach())) == ([0.0, 0.0], 0.0)


@pytest.mark.parametrize("views", [1, 2])
def test_nothing_as_large_as_all_scores_is_ever_held(views):
    states, tables, clusters, labels = given(views, items=300)
    with Largest() as seen:
        sums = adaptive_softmax_consistency(states, tables, clusters, labels, HeadSettings(items=8))
        grads(sums, [*states, *tables, clusters])
    assert seen.most <= max(8 * WORDS, views * 300 * 8) < views * 300 * WORDS
