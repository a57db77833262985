"""Each score against its definition, over batches of unequal sizes."""

import math

import pytest
import torch

from dropsmith.tasks.meters import create_meters


def fed(name, outputs, labels):
    meter = create_meters([name])[name]
    for rows in (slice(0, 3), slice(3, 4), slice(4, None)):
        meter.add(outputs[rows], labels[rows])
    return meter.value


def chosen(count=40):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, 2, generator=generator)
    labels = torch.randint(2, (count,), generator=generator)
    pairs = list(zip(logits.argmax(-1).tolist(), labels.tolist(), strict=True))
    return logits, labels, [pairs.count(cell) for cell in ((1, 1), (0, 0), (1, 0), (0, 1))]


def test_f1_is_of_the_second_class():
    logits, labels, (tp, _, fp, fn) = chosen()
    assert fed("f1", logits, labels) == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_matthews_is_the_correlation_of_the_table_of_four():
    logits, labels, (tp, tn, fp, fn) = chosen()
    below = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert fed("matthews", logits, labels) == pytest.approx((tp * tn - fp * fn) / below, abs=1e-6)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_correlations_are_those_of_scipy(name):
    from scipy import stats

    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 6, (40,), generator=generator).float()
    values = (labels + 3 * torch.randn(40, generator=generator)).unsqueeze(1)
    wanted = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[name]
    assert fed(name, values, labels) == pytest.approx(
        wanted(values[:, 0].numpy(), labels.numpy()).statistic, abs=1e-5
    )


@pytest.mark.parametrize("name", ["matthews", "pearson", "spearman"])
def test_predictions_that_are_all_alike_have_no_correlation(name):
    alike = torch.tensor([[0.0, 1.0]]).expand(9, 2) if name == "matthews" else torch.ones(9, 1)
    labels = torch.arange(9) % 2
    assert fed(name, alike, labels if name == "matthews" else labels.float()) == 0.0
