"""Temperatures against a search over a grid, and probabilities by hand."""

import math

import pytest
import torch

from dropsmith.errors import ViewError
from dropsmith.measures import fit_temperature, scale_by_temperature


def logits(rows=400, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 2
    labels = torch.multinomial(scores.softmax(-1), 1, generator=generator).squeeze(1)
    return scores, labels


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_it_is_the_best_of_a_grid_of_temperatures(sharpness):
    scores, labels = logits()
    sharp = scores * sharpness
    grid = [math.exp(number / 500) for number in range(-1500, 1501)]
    losses = [torch.nn.functional.cross_entropy(sharp / t, labels).item() for t in grid]
    best = grid[losses.index(min(losses))]
    got = fit_temperature(sharp.softmax(-1), labels)
    assert got == pytest.approx(best, rel=3e-3)
    # The labels follow scores of temperature 1: the sharper ones are as much too sure.
    assert got == pytest.approx(sharpness, rel=0.2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scaled_probabilities_are_the_softmax_of_divided_logits(dtype):
    scores, _ = logits(20)
    got = scale_by_temperature(scores.softmax(-1).to(dtype), 2.5)
    torch.testing.assert_close(got, (scores / 2.5).softmax(-1).to(dtype))
    image = scores.softmax(-1).to(dtype).view(4, 5, 4).movedim(-1, 1)
    moved = scale_by_temperature(image, 2.5, class_axis=1)
    torch.testing.assert_close(moved.movedim(1, -1).reshape(20, 4), got)


def test_padding_and_the_axis_of_classes_change_nothing():
    scores, labels = logits(60)
    want = fit_temperature(scores[:50].softmax(-1), labels[:50])
    labels[50:] = -100
    image = scores.softmax(-1).view(6, 10, 4).movedim(-1, 1)
    got = fit_temperature(image, labels.view(6, 10), class_axis=1)
    assert got == pytest.approx(want)


def test_certainty_stays_finite_and_a_faultless_model_gets_a_small_one():
    certain = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert torch.isfinite(scale_by_temperature(certain, 3.0)).all()
    right = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    assert fit_temperature(right, torch.tensor([0, 1])) < 0.1


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), "2"])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ViewError, match=r"temperature must be a finite number from 0\.01 to 100"):
        scale_by_temperature(torch.tensor([0.5, 0.5]), temperature)
