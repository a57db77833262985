import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.errors import ViewError
from dropsmith.measures import calibration_error, reliability


def random(items=200, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    likely = (
        torch.randn(items, classes, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    )
    return likely, torch.randint(classes, (items,), generator=generator)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 20))
def test_numbers_match_the_definitions_written_out_as_loops(seed, bins):
    likely, truth = random(seed=seed)
    got = reliability(likely, truth, bins)
    held = [[] for _ in range(bins)]
    for row, label in zip(likely.tolist(), truth.tolist(), strict=True):
        place = max(math.ceil(max(row) * bins - 1e-12) - 1, 0)
        held[place].append((max(row), row.index(max(row)) == label))
    error = 0.0
    for place, items in enumerate(held):
        assert got.counts[place] == len(items)
        if items:
            sure, right = (sum(column) / len(items) for column in zip(*items, strict=True))
            assert got.confidence[place].item() == pytest.approx(sure)
            assert got.accuracy[place].item() == pytest.approx(right)
            error += len(items) / 200 * abs(sure - right)
    pairs = list(zip(likely.tolist(), truth.tolist(), strict=True))
    assert got.error == pytest.approx(error)
    assert got.nll == pytest.approx(-sum(math.log(row[label]) for row, label in pairs) / 200)
    brier = sum(sum((p - (c == label)) ** 2 for c, p in enumerate(row)) for row, label in pairs)
    assert got.brier == pytest.approx(brier / 200)


def test_the_error_is_that_of_torchmetrics():
    from torchmetrics.functional.classification import multiclass_calibration_error

    likely, truth = random(2000)
    theirs = multiclass_calibration_error(
        likely.float(), truth, num_classes=4, n_bins=15, norm="l1"
    )
    assert reliability(likely.float(), truth, 15).error == pytest.approx(theirs.item(), abs=1e-6)


def test_probabilities_that_are_true_by_construction_are_calibrated():
    generator = torch.Generator().manual_seed(0)
    likely = torch.randn(20_000, 3, generator=generator).softmax(-1)
    truth = torch.multinomial(likely, 1, generator=generator).squeeze(-1)
    # A mean of |deviation| over 10 bins is below Σ √(count p (1 - p)) / n on average.
    assert reliability(likely, truth, 10).error < 5 * 0.5 * math.sqrt(10 / 20_000)
    wrong = likely.pow(4) / likely.pow(4).sum(-1, keepdim=True)
    assert reliability(wrong, truth, 10).error > 0.1


def test_padding_counts_nowhere():
    likely, truth = random(60)
    whole = reliability(likely[:40], truth[:40])
    padded = truth.clone()
    padded[40:] = -100
    got = reliability(likely.view(6, 10, 4), padded.view(6, 10))
    assert (got.error, got.nll, got.brier) == (whole.error, whole.nll, whole.brier)


def test_labels_of_the_same_shape_are_a_coin_each():
    likely, _ = random(50, 3)
    truth = (likely > 0.4).long()
    got = reliability(likely, truth)
    assert int(got.counts.sum()) == 150
    coins = torch.stack([1 - likely, likely], -1).view(-1, 2)
    want = reliability(coins, truth.flatten())
    assert got.nll == want.nll
    assert got.error == want.error


def test_a_confidence_on_the_edge_of_two_bins_falls_in_the_lower_as_published():
    got = reliability(torch.tensor([[0.5, 0.5], [0.75, 0.25]]), torch.tensor([0, 0]), 4)
    assert got.counts.tolist() == [0, 1, 1, 0]


def test_certainty_that_is_wrong_costs_a_finite_number():
    got = reliability(torch.tensor([[1.0, 0.0]]), torch.tensor([1]), 5)
    assert math.isfinite(got.nll)
    assert got.error == got.confidence[-1].item() == 1
    assert got.brier == 2


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ViewError, match=r"\(3,\) do not fit[\s\S]*\(2, 4\)"):
        reliability(torch.full((2, 4), 0.25), torch.zeros(3).long())
    with pytest.raises(ViewError, match="every label is -100"):
        reliability(torch.full((2, 4), 0.25), torch.full((2,), -100))


@pytest.mark.parametrize("bins", [1, 4, 15, 300])
def test_bins_of_equal_count_are_parts_of_the_sorted_items(bins):
    likely, truth = random(240)
    sure = likely.max(-1).values.numpy()
    right = (likely.argmax(-1) == truth).numpy()
    order = np.argsort(sure, kind="stable")
    # Item number r of n is in bin ⌊r bins / n⌋.
    parts = [order[[r for r in range(240) if r * bins // 240 == b]] for b in range(bins)]
    want = sum(len(p) * abs(sure[p].mean() - right[p].mean()) for p in parts if len(p)) / 240
    got = calibration_error(likely, truth, bins, binning="count")
    assert got == pytest.approx(want)


@pytest.mark.parametrize("binning", ["width", "count"])
def test_the_error_by_class_is_the_mean_over_the_coins_of_each_class(binning):
    likely, truth = random(300, classes=3)
    errors = []
    for number in range(3):
        sure, happened = likely[:, number].numpy(), (truth == number).numpy()
        if binning == "width":
            place = np.clip(np.ceil(sure * 10 - 1e-12).astype(int) - 1, 0, 9)
        else:
            place = np.empty(300, int)
            place[np.argsort(sure, kind="stable")] = np.arange(300) * 10 // 300
        held = [np.flatnonzero(place == b) for b in range(10)]
        gaps = [len(h) * abs(sure[h].mean() - happened[h].mean()) for h in held if len(h)]
        errors.append(sum(gaps) / 300)
    got = calibration_error(likely, truth, 10, binning=binning, by_class=True)
    assert got == pytest.approx(np.mean(errors))


def test_the_plain_error_is_that_of_reliability_with_padding_and_any_axis():
    likely, truth = random(60)
    truth[::7] = -100
    want = reliability(likely, truth).error
    assert calibration_error(likely, truth) == want
    image = likely.view(6, 10, 4).movedim(-1, 1)
    assert calibration_error(image, truth.view(6, 10), class_axis=1) == pytest.approx(want)


def test_an_unknown_way_of_binning_is_refused():
    likely, truth = random(10)
    with pytest.raises(ViewError, match=r"binning.*counts"):
        calibration_error(likely, truth, binning="counts")
