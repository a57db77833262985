"""The classes of dense outputs are found, told, or asked for; one class is no distribution."""

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError, ViewError
from dropsmith.measures import reliability
from dropsmith.prediction import predict
from prediction.by_hand import check_classes, outputs_by_hand

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


class Queries(nn.Module):
    """A score of each query at each pixel, as MaskFormer has it."""

    def __init__(self, product):
        super().__init__()
        self.product = product
        self.queries, self.pixels = nn.Parameter(torch.randn(5, 8)), nn.Conv2d(3, 8, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        h = self.drop(self.pixels(x))
        if self.product == "einsum":
            return torch.einsum("qc,bchw->bqhw", self.queries, h)
        return (self.queries @ h.flatten(2)).unflatten(2, h.shape[2:])


class Tempered(nn.Module):
    """Scores of pixels divided by a temperature, which a later product makes."""

    def __init__(self):
        super().__init__()
        self.net, self.warm = convolutional(6), nn.Linear(3, 1)

    def forward(self, x):
        heat = self.warm(x.mean((2, 3))).exp()
        return self.net(x) / heat[:, :, None, None]


class Shifted(nn.Module):
    """Scores with a prior of each class, by which the classes are no longer alike."""

    def __init__(self):
        super().__init__()
        self.net, self.prior = convolutional(6), nn.Parameter(torch.randn(6, 1, 1))

    def forward(self, x):
        return self.net(x) * self.prior.exp() + self.prior


class Smoothed(nn.Module):
    """Scores of words, of which those of neighbours are added: rows of a matrix over words."""

    def __init__(self):
        super().__init__()
        self.net = textual(6)

    def forward(self, x):
        return torch.full((6, 6), 0.1).fill_diagonal_(1) @ self.net(x)


CASES = {
    "a picture": (lambda: convolutional(5), IMAGES, 1),
    "a picture with as many classes as rows": (lambda: convolutional(6), IMAGES, 1),
    "a picture made larger": (lambda: convolutional(5, nn.Upsample(scale_factor=2)), IMAGES, 1),
    "patches": (Patches, IMAGES, 1),
    "queries of pixels, einsum": (lambda: Queries("einsum"), IMAGES, 1),
    "queries of pixels, product": (lambda: Queries("product"), IMAGES, 1),
    "a picture with a temperature": (Tempered, IMAGES, 1),
    "a picture with priors": (Shifted, IMAGES, 1),
    "log-probabilities": (lambda: convolutional(6, nn.LogSoftmax(1)), IMAGES, 1),
    "a picture twice as large, of as many classes": (
        lambda: convolutional(12, nn.Upsample(scale_factor=2, mode="bilinear")),
        IMAGES,
        1,
    ),
    "a learned enlargement": (lambda: convolutional(6, nn.ConvTranspose2d(6, 6, 2, 2)), IMAGES, 1),
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
    model = make()
    found = predict(model, batch, samples=6)
    assert found.class_axis == axis
    check_classes(found, torch.stack(outputs_by_hand(model, batch, 6)), axis)


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


class Reshaped(nn.Module):
    """One product for all classes at all steps, and a table made of it."""

    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(7, 3 * 7)

    def forward(self, x):
        return self.head(self.drop(x)).view(-1, 3, 7)


class Both(nn.Module):
    """A convolution over classes and a product over time, with nothing between the two."""

    def __init__(self):
        super().__init__()
        self.drop, self.classes, self.steps = nn.Dropout(0.5), nn.Conv1d(3, 4, 1), nn.Linear(7, 7)

    def forward(self, x):
        return self.steps(self.classes(self.drop(x)))


class Paired(nn.Module):
    """A score of each pair of a row's words: either may be the class."""

    def __init__(self):
        super().__init__()
        self.embed, self.drop = nn.Embedding(12, 8), nn.Dropout(0.5)

    def forward(self, x):
        h = self.drop(self.embed(x))
        return torch.bmm(h[:, :4], h.transpose(1, 2))


@pytest.mark.parametrize(
    ("make", "batch", "shape"),
    [
        (Reshaped, SIGNALS[:, 0], r"\(2, 3, 7\)"),
        (Both, SIGNALS, r"\(2, 4, 7\).*put them in the last dimension or dimension 1"),
        (Paired, WORDS, r"\(2, 4, 6\)"),
    ],
)
def test_an_axis_that_two_readings_fit_is_asked_for(make, batch, shape):
    with pytest.raises(NoiseError, match=rf"cannot tell.*{shape}[\s\S]*class_axis=1"):
        predict(make(), batch, samples=4)


def test_labels_decide_where_the_model_does_not():
    labels = torch.tensor([[0, 2, 1, -100, 0, 0, 1]] * 2)
    model = Named(Reshaped())
    found = predict(model, {"x": SIGNALS[:, 0], "labels": labels}, 6)
    assert found.class_axis == 1
    check_classes(found, torch.stack(outputs_by_hand(model, {"x": SIGNALS[:, 0]}, 6)), 1)
    assert found.mask.tolist() == [[True, True, True, False, True, True, True]] * 2
    found = predict(Named(Both()), {"x": SIGNALS, "labels": labels[:, :4] % 3}, 6)
    assert found.class_axis == -1


def test_labels_that_contradict_the_model_are_refused_with_both_readings():
    labels = torch.zeros(2, 4, dtype=torch.long)
    batch = {"x": SIGNALS, "labels": labels}
    both = r"operations.*in dimension 1, and labels of shape \(2, 4\) fit the last"
    with pytest.raises(NoiseError, match=both):
        predict(Named(convolutional(4, size=1)), batch, 4)
    assert predict(Named(convolutional(4, size=1)), batch, 4, class_axis=1).class_axis == 1


def test_labels_of_the_scores_own_shape_are_each_on_or_off():
    batch = {"x": SIGNALS, "labels": torch.ones(2, 4, 7).long()}
    with pytest.raises(NoiseError, match=r"label of its own[\s\S]*multi_label"):
        predict(Named(convolutional(4, size=1)), batch, 4)


class Named(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


class TwoWays(nn.Module):
    """Outputs that have their classes in different dimensions."""

    def __init__(self):
        super().__init__()
        self.drop, self.pixels, self.words = nn.Dropout(0.5), nn.Conv1d(3, 7, 1), nn.Linear(7, 7)

    def forward(self, x):
        return {"pixels": self.pixels(self.drop(x)), "words": self.words(self.drop(x))}


def test_each_output_has_an_axis_of_its_own():
    model = TwoWays()
    for _ in range(2):
        assert predict(model, SIGNALS, 4, scores="pixels").class_axis == 1
        assert predict(model, SIGNALS, 4, scores="words").class_axis == -1


def test_one_number_for_each_input_is_no_distribution():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(7, 1), nn.Flatten(0))
    with pytest.raises(NoiseError, match=r"\(2,\) are one number for each input.*\n.*regression"):
        predict(model, SIGNALS[:, 0], 4)
    assert predict(model, SIGNALS[:, 0], 4, kind="regression").mean.shape == (2,)


def test_two_tensors_of_one_shape_are_asked_about():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.first, self.second = nn.Dropout(0.5), nn.Linear(7, 3), nn.Linear(7, 3)

        def forward(self, x):
            h = self.drop(x)
            return self.first(h), self.second(h)

    with pytest.raises(ViewError, match=r"2 tensors of shape[\s\S]*scores=0 or scores=1"):
        predict(Pair(), SIGNALS[:, 0], 4)
    assert predict(Pair(), SIGNALS[:, 0], 4, scores=1).mean.shape == (2, 3)


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
