"""The page of a prediction: its numbers against the definitions, its parts, hostile names."""

import math
import re

import pytest
import torch

from dropsmith.prediction import one_pass
from dropsmith.prediction.moments import Moments
from dropsmith.report import JudgedPrediction, of_inputs, pictures_of, prediction_page
from dropsmith.report.prediction_html import summary

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

HOSTILE = '<script>alert("x")</script>'


def judged(inputs=60, classes=3, samples=10, *, texts=(), pictures=None, seed=0, noise=1.0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(inputs, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)
    moments = Moments("classification", class_axis=-1)
    for _ in range(samples):
        moments.add(logits + noise * torch.randn(logits.shape, generator=generator))
    everything = torch.ones(inputs, dtype=torch.bool)
    return JudgedPrediction(
        mean=of_inputs(moments.prediction(), everything),
        one_pass=of_inputs(one_pass(logits, "classification"), everything),
        labels=labels,
        texts=texts,
        pictures=pictures,
    )


def values(inputs=50, samples=8):
    generator = torch.Generator().manual_seed(1)
    mean = torch.randn(inputs, 1, generator=generator)
    spread = torch.rand(inputs, 1, generator=generator)
    moments = Moments("regression", class_axis=-1)
    for _ in range(samples):
        moments.add(mean + spread * torch.randn(mean.shape, generator=generator))
    everything = torch.ones(inputs, dtype=torch.bool)
    labels = mean.squeeze(1) + 0.5 * torch.randn(inputs, generator=generator)
    return JudgedPrediction(
        mean=of_inputs(moments.prediction(), everything),
        one_pass=of_inputs(one_pass(mean, "regression"), everything),
        labels=labels.double(),
    )


def test_what_averaging_gains_is_the_mean_paired_difference_and_its_interval():
    given = judged()
    gains = given.gains()
    before = -given.one_pass.mean[range(60), given.labels].double().log()
    after = -given.mean.mean[range(60), given.labels].double().log()
    change = (after - before).tolist()
    mean = sum(change) / 60
    deviation = math.sqrt(sum((c - mean) ** 2 for c in change) / 59)
    assert gains["NLL"] == pytest.approx((mean, 1.96 * deviation / math.sqrt(60)))
    right = [
        int((p.mean.argmax(1) == given.labels).sum()) / 60 for p in (given.mean, given.one_pass)
    ]
    assert gains["accuracy"][0] == pytest.approx(right[0] - right[1])


def test_the_page_has_every_part_and_the_scores_of_both_ways():
    given = judged(texts=tuple(f"text number {n}" for n in range(60)))
    page = prediction_page(given, "reviews: predictions", {"run": "runs/reviews/1"})
    for name in ("scores", "reliability", "risk", "least-certain", "most-certain", "settings"):
        assert f'<section id="{name}">' in page
    accuracy = given.scores(given.mean)["accuracy"]
    assert f"{100 * accuracy:.2f}" in page
    assert "mean of 10 samples" in page
    assert page.count("<svg") == 4  # two pictures, wide and narrow
    order = given.mean.entropy.argsort(descending=True, stable=True).tolist()
    rows = re.search('id="least-certain".*?</section>', page, re.S)[0]
    assert re.findall(r"text number (\d+)", rows) == [str(n) for n in order[:8]]
    rows = re.search('id="most-certain".*?</section>', page, re.S)[0]
    assert re.findall(r"text number (\d+)", rows) == [str(n) for n in order[::-1][:8]]


def test_values_have_their_errors_and_deviations():
    given = values()
    page = prediction_page(given, "price: predictions", {})
    errors = (given.mean.mean.squeeze(1).double() - given.labels).square()
    assert f"{errors.mean().sqrt().item():.4f}" in page
    assert 'id="reliability"' not in page
    assert "standard deviation" in page
    assert "squared error" in summary(given)


def test_one_pass_alone_has_a_page_without_samples():
    given = judged()
    alone = JudgedPrediction(mean=given.one_pass, one_pass=None, labels=given.labels)
    page = prediction_page(alone, "x", {})
    assert "one pass, noise off" in page
    assert "change by averaging" not in page
    assert "by one pass" in summary(alone)


def test_where_all_are_right_no_area_is_shown_and_nothing_fails():
    given = judged(noise=0.01)
    right = JudgedPrediction(
        mean=given.mean, one_pass=given.one_pass, labels=given.mean.mean.argmax(1)
    )
    assert right.detection() == {}
    assert "AUROC" not in prediction_page(right, "x", {})


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_inputs_make_a_page_too(count):
    assert "</html>" in prediction_page(judged(count), "x", {})


def test_names_texts_and_settings_are_escaped():
    given = judged(texts=(HOSTILE,) * 60)
    page = prediction_page(given, HOSTILE, {HOSTILE: HOSTILE})
    assert HOSTILE not in page


def test_pictures_are_shown_of_the_least_and_the_most_certain():
    pixels = torch.rand(60, 3, 5, 7)
    given = judged(pictures=pictures_of({"ids": torch.ones(60, 4).long(), "image": 5 * pixels - 2}))
    page = prediction_page(given, "x", {})
    assert page.count('<img src="data:image/png;base64,') == 16
    stretched = pictures_of({"image": 5 * pixels - 2})
    assert (stretched.min(), stretched.max()) == (0, 1)
    assert pictures_of({"tokens": torch.ones(3, 4)}) is None


def test_the_sentence_says_when_averaging_made_no_detectable_difference():
    assert "no detectable difference in the accuracy" in summary(judged(noise=1e-4))


def test_inputs_without_a_label_are_left_out_with_their_names():
    given = judged(6).mean
    chosen = torch.tensor([True, False, True, True, False, False])
    part = of_inputs(given, chosen)
    assert part.names == ("0", "2", "3")
    assert torch.equal(part.mean, given.mean[chosen])
    tokens = torch.tensor([[True, False], [False, True]])
    logits = torch.randn(2, 2, 3)
    part = of_inputs(one_pass(logits, "classification"), tokens)
    assert part.names == ("0, 0", "1, 1")
    torch.testing.assert_close(part.mean[1], logits[1, 1].softmax(-1))
