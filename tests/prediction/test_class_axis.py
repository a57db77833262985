"""The classes of dense outputs are found, told, or asked for; one class is no distribution."""

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.measures import reliability
from dropsmith.prediction import predict

IMAGES, SIGNALS, WORDS = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 7), torch.arange(12).view(2, 6)


def convolutional(classes, *after, size=2):
    layer = {1: nn.Conv1d, 2: nn.Conv2d}[size]
    return nn.Sequential(layer(3, 8, 1), nn.Dropout(0.5), layer(8, classes, 1), *after)


def textual(classes, *after):
    return nn.Sequential(nn.Embedding(12, 8), nn.Dropout(0.5), nn.Linear(8, classes), *after)


class Patches(nn.Module):
    """A product for each patch, laid out as a picture."""

    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(3, 5)

    def forward(self, x):
        scores = self.head(self.drop(x.flatten(2).transpose(1, 2)))
        return scores.transpose(1, 2).unflatten(2, x.shape[2:])


CASES = {
    "a picture": (lambda: convolutional(5), IMAGES, 1),
    "a picture with as many classes as rows": (lambda: convolutional(6), IMAGES, 1),
    "a picture made larger": (lambda: convolutional(5, nn.Upsample(scale_factor=2)), IMAGES, 1),
    "patches": (Patches, IMAGES, 1),
    "a signal": (lambda: convolutional(4, size=1), SIGNALS, 1),
    "a signal of as many steps as classes": (lambda: convolutional(7, size=1), SIGNALS, 1),
    "a text": (lambda: textual(5), WORDS, -1),
    "a text of as many words as classes": (lambda: textual(6), WORDS, -1),
    "one label": (lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(7, 5)), SIGNALS[:, 0], -1),
}


@pytest.mark.parametrize("name", CASES)
def test_probabilities_sum_to_one_over_the_classes_and_entropy_has_none(name):
    make, batch, axis = CASES[name]
    torch.manual_seed(0)
    found = predict(make(), batch, samples=6, keep=True)
    logits = predict_logits(make, batch)
    expected = logits.softmax(axis if axis == -1 else 2).mean(0)
    torch.testing.assert_close(found.mean, expected)
    torch.testing.assert_close(found.entropy, -(expected * expected.log()).sum(axis))
    assert found.class_axis == axis


def predict_logits(make, batch):
    """The scores of the same samples, which a prediction of values returns as they are."""
    torch.manual_seed(0)
    return predict(make(), batch, samples=6, kind="regression", keep=True).draws


def test_an_axis_that_is_given_is_taken():
    torch.manual_seed(0)
    net = convolutional(6)
    found = predict(net, IMAGES, samples=4, class_axis=-1)
    torch.testing.assert_close(found.mean.sum(-1), torch.ones(2, 6, 6))


class Hidden(nn.Module):
    """Scores that no product makes."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(x) * 2


def test_an_axis_that_cannot_be_told_is_asked_for():
    with pytest.raises(NoiseError, match=r"which dimension[\s\S]*class_axis=1[\s\S]*regression"):
        predict(Hidden(), IMAGES, samples=4)
    assert predict(Hidden(), IMAGES, samples=4, class_axis=1).entropy.shape == (2, 6, 6)


@pytest.mark.parametrize(
    ("net", "batch"),
    [
        (convolutional(1), IMAGES),
        (textual(1), WORDS),
        (nn.Sequential(nn.Dropout(0.5), nn.Linear(7, 1)), SIGNALS[:, 0]),
    ],
)
def test_one_score_is_no_distribution(net, batch):
    with pytest.raises(NoiseError, match=r"one class[\s\S]*regression[\s\S]*multi_label"):
        predict(net, batch, samples=4)
    assert predict(net, batch, samples=4, kind="multi_label").entropy is not None


def test_an_axis_that_is_not_there_is_an_error():
    with pytest.raises(NoiseError, match="no dimension 4"):
        predict(convolutional(5), IMAGES, samples=4, class_axis=4)


@pytest.mark.parametrize("size", [4, 5])
def test_reliability_is_that_of_the_classes_wherever_they_are(size):
    torch.manual_seed(0)
    last = torch.randn(3, size, 5).softmax(-1)
    labels = torch.randint(5, (3, size))
    flat = reliability(last.flatten(0, 1), labels.flatten())
    for found in (
        reliability(last, labels),
        reliability(last.transpose(1, 2), labels),
        reliability(last.transpose(1, 2), labels, class_axis=1),
    ):
        assert found.error == pytest.approx(flat.error)
        assert found.nll == pytest.approx(flat.nll)


def test_the_older_words_for_kinds_are_read():
    net = textual(5).eval()
    assert predict(net, WORDS, samples=3, kind="values").kind == "regression"  # pyright: ignore
