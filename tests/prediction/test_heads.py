"""Outputs of every kind, one or several, against the same passes made and averaged by hand."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from dropsmith.errors import NoiseError, ViewError
from dropsmith.prediction import predict
from prediction.by_hand import (
    check_classes,
    close,
    compare,
    numbers,
    outputs_by_hand,
    sigmoid,
)
from prediction.noisy import seeded

X = seeded(6, 4)
TEXT = seeded(3, 5, 4)
Pair = namedtuple("Pair", ["centre", "width"])


@dataclass
class Record:
    seen: Tensor
    depth: Tensor
    note: str = "a word"


class Net(nn.Module):
    """Units with dropout, and whatever is made of them."""

    def __init__(self, units: int, form: Any = lambda y: y) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop = nn.Linear(4, 24), nn.Dropout(0.4)
        self.head, self.form = nn.Linear(24, units), form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.head(self.drop(self.first(x).relu())))


class Coral(nn.Module):
    """One score and a threshold for each step from a class to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.steps = Net(1), nn.Parameter(torch.tensor([1.5, 0.2, -1.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) + self.steps


def draws(model, batch, samples=6):
    return numbers(torch.stack(outputs_by_hand(model, batch, samples)))


@pytest.mark.parametrize("batch", [X, TEXT])
def test_thresholds_make_probabilities_of_classes_in_an_order(batch):
    model = Coral()
    found = predict(model, batch, 6, kind="ordinal", class_axis=-1)
    above = sigmoid(draws(model, batch))
    first, last = 1 - above[..., :1], above[..., -1:]
    each = np.concatenate([first, above[..., :-1] - above[..., 1:], last], -1)
    compare(found, each, -1)
    assert found.class_axis == -1
    close(found.mean.sum(-1), np.ones(batch.shape[:-1]))


def test_conditional_thresholds_are_multiplied():
    model = Net(3)
    found = predict(model, X, 6, kind="conditional_ordinal")
    p = sigmoid(draws(model, X))
    each = np.stack(
        [
            1 - p[..., 0],
            p[..., 0] * (1 - p[..., 1]),
            p[..., 0] * p[..., 1] * (1 - p[..., 2]),
            p[..., 0] * p[..., 1] * p[..., 2],
        ],
        -1,
    )
    compare(found, each, -1)


def test_classes_in_an_order_may_be_those_of_pixels():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Dropout(0.5), nn.Conv2d(2, 3, 1), nn.Flatten(2), nn.Unflatten(2, (3, 3))
    )
    found = predict(model, seeded(2, 2, 3, 3), 4, kind="conditional_ordinal")
    assert (found.mean.shape, found.entropy.shape, found.class_axis) == ((2, 4, 3, 3), (2, 3, 3), 1)


def test_thresholds_that_do_not_fall_are_refused():
    with pytest.raises(NoiseError, match=r"do not fall[\s\S]*conditional_ordinal"):
        predict(Net(3), X, 4, kind="ordinal")


GAUSSIAN = {
    "a tuple": (lambda y: (y[..., :2], y[..., 2:]), {"mean": 0, "log_variance": 1}),
    "a dictionary": (
        lambda y: {"mu": y[..., :2], "s2": y[..., 2:].exp()},
        {"mean": "mu", "variance": "s2"},
    ),
    "a named tuple": (
        lambda y: Pair(y[..., :2], (y[..., 2:] / 2).exp()),
        {"mean": "centre", "deviation": "width"},
    ),
    "one tensor": (
        lambda y: y,
        {"mean": lambda y: y[..., :2], "log_variance": lambda y: y[..., 2:]},
    ),
    "a distribution": (
        lambda y: Normal(y[..., :2], (y[..., 2:] / 2).exp()),
        {"mean": "loc", "deviation": "scale"},
    ),
}


@pytest.mark.parametrize("batch", [X, TEXT])
@pytest.mark.parametrize("form", GAUSSIAN)
def test_the_variance_of_model_and_of_data_are_told_apart(form, batch):
    make, scores = GAUSSIAN[form]
    found = predict(Net(4, make), batch, 7, kind="gaussian", scores=scores, keep=True)
    y = draws(Net(4), batch, 7)
    mean, variance = y[..., :2], np.exp(y[..., 2:])
    close(found.mean, mean.mean(0))
    close(found.variance, mean.var(0))
    close(found.data_variance, variance.mean(0))
    # Kendall & Gal (2017), equation 9, as it is written there.
    whole = (mean**2).mean(0) - mean.mean(0) ** 2 + variance.mean(0)
    np.testing.assert_allclose(numbers(found.total_variance), whole, rtol=1e-3, atol=1e-5)
    close(found.draws, mean)
    close(found.data_draws, variance)
    assert found.entropy is found.mutual_information is found.class_axis is None


def test_what_a_gaussian_output_holds_has_to_be_said():
    model = Net(4, lambda y: (y[..., :2], y[..., 2:]))
    for scores in (None, 0, {"mean": 0}, {"mean": 0, "sigma": 1}, {"variance": 1}):
        with pytest.raises(NoiseError, match=r"said by name[\s\S]*scores=\{'mean'"):
            predict(model, X, 4, kind="gaussian", scores=scores)
    with pytest.raises(NoiseError, match=r"variance.*is negative[\s\S]*log_variance"):
        predict(model, X, 4, kind="gaussian", scores={"mean": 0, "variance": 1})
    uneven = Net(4, lambda y: (y[..., :2], y[..., 2:3]))
    with pytest.raises(NoiseError, match=r"variance for each mean.*\(6, 2\)[\s\S]*\(6, 1\)"):
        predict(uneven, X, 4, kind="gaussian", scores={"mean": 0, "log_variance": 1})


@pytest.mark.parametrize(("batch", "axis"), [(X, -1), (TEXT, -1), (TEXT, 1)])
def test_quantiles_are_averaged_one_by_one(batch, axis):
    def form(y):
        return y.transpose(1, 2) if axis == 1 else y

    levels = (0.05, 0.5, 0.95)
    found = predict(Net(3, form), batch, 6, kind="quantile", quantiles=levels)
    each = draws(Net(3, form), batch)
    close(found.mean, each.mean(0))
    close(found.variance, each.var(0))
    assert (found.quantiles, found.class_axis) == (levels, axis)
    assert list(found.to_table())[-6:] == [
        *("quantile_0.05", "quantile_0.5", "quantile_0.95"),
        *("standard_deviation_0.05", "standard_deviation_0.5", "standard_deviation_0.95"),
    ]


def test_quantiles_that_the_outputs_do_not_have_are_refused():
    for levels in (None, (), 0.5, (0.5, 1.5), ("0.5",)):
        with pytest.raises(NoiseError, match=r"quantiles=\(0.05, 0.5, 0.95\)"):
            predict(Net(3), X, 4, kind="quantile", quantiles=levels)
    with pytest.raises(NoiseError, match=r"2 quantiles.*no dimension has"):
        predict(Net(3), X, 4, kind="quantile", quantiles=(0.1, 0.9))
    square = seeded(2, 3, 4)
    levels = (0.1, 0.5, 0.9)
    with pytest.raises(NoiseError, match=r"dimension 1 and the last dimension have"):
        predict(Net(3), square, 4, kind="quantile", quantiles=levels)
    found = predict(Net(3), square, 4, kind="quantile", quantiles=levels, class_axis=1)
    assert found.class_axis == 1


FORMS = {
    "a dictionary": lambda y: {"seen": y[..., :3], "depth": y[..., 3:]},
    "a dataclass": lambda y: Record(y[..., :3], y[..., 3:]),
}
KINDS = {"seen": "classification", "depth": "regression"}


@pytest.mark.parametrize("mode", ["stacked", "looped"])
@pytest.mark.parametrize("form", FORMS)
def test_several_outputs_have_a_prediction_each(form, mode):
    found = predict(Net(5, FORMS[form]), X, 6, kind=KINDS, mode=mode, keep=True)
    scores = torch.stack(outputs_by_hand(Net(5), X, 6))
    assert list(found) == ["seen", "depth"]
    check_classes(found["seen"], scores[..., :3], -1)
    close(found["depth"].mean, numbers(scores[..., 3:]).mean(0))
    close(found["depth"].draws, numbers(scores[..., 3:]))
    assert found["depth"].samples == found["seen"].samples == 6


def test_several_outputs_of_a_tuple_are_named_by_their_places():
    model = Net(9, lambda y: (y[..., :3], y[..., 3:6], y[..., 6:]))
    found = predict(
        model,
        X,
        6,
        kind={0: "classification", 1: "multi_label", "spread": "gaussian"},
        scores={"spread": {"mean": 1, "log_variance": 2}},
    )
    scores = torch.stack(outputs_by_hand(Net(9), X, 6))
    check_classes(found[0], scores[..., :3], -1)
    close(found[1].mean, sigmoid(numbers(scores[..., 3:6])).mean(0))
    close(found["spread"].data_variance, np.exp(numbers(scores[..., 6:])).mean(0))


def test_an_output_that_no_noise_reaches_is_named():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.other = Net(3), nn.Linear(4, 2)

        def forward(self, x):
            return {"a": self.net(x), "b": self.other(x)}

    with pytest.warns(UserWarning, match="no noise reaches 'b': all 4 samples"):
        found = predict(Half(), X, 4, kind={"a": "classification", "b": "regression"})
    assert (found["b"].variance < 1e-12).all()


def test_wrong_names_of_outputs_are_refused():
    model = Net(5, FORMS["a dictionary"])
    with pytest.raises(ViewError, match="'deep' names no tensor"):
        predict(model, X, 4, kind={"deep": "regression"})
    for wrong in ({}, {None: "regression"}, {1.5: "regression"}):
        with pytest.raises(NoiseError, match="a word for each output"):
            predict(model, X, 4, kind=wrong)
    with pytest.raises(NoiseError, match=r"scores names them too[\s\S]*scores=\{'seen'"):
        predict(model, X, 4, kind=KINDS, scores="seen")
    with pytest.raises(NoiseError, match=r"'other', which kind does not name"):
        predict(model, X, 4, kind=KINDS, class_axis={"other": 1})
    with pytest.raises(NoiseError, match="no kind of output is called 'classes and'"):
        predict(model, X, 4, kind={"seen": "classes and"})


def test_scores_that_are_no_floating_numbers_are_refused():
    with pytest.raises(NoiseError, match=r"floating numbers.*int64"):
        predict(Net(3, lambda y: y.argmax(-1)), X, 4)


EVERY = {
    "classification": (Net(3), {}),
    "multi_label": (Net(3), {}),
    "ordinal": (Coral(), {}),
    "conditional_ordinal": (Net(3), {}),
    "regression": (Net(3), {}),
    "gaussian": (
        Net(2, lambda y: (y[..., :1], y[..., 1:])),
        {"scores": {"mean": 0, "log_variance": 1}},
    ),
    "quantile": (Net(2), {"quantiles": (0.1, 0.9)}),
}


@pytest.mark.parametrize("kind", EVERY)
def test_independent_samples_are_those_made_by_hand_for_every_kind(kind):
    model, options = EVERY[kind]
    found = predict(model, X, 5, kind=kind, draws="independent", keep=True, **options)
    again = predict(
        model,
        X,
        5,
        kind=kind,
        draws="independent",
        keep=True,
        mode="looped",
        replay=False,
        **options,
    )
    torch.testing.assert_close(found.draws, again.draws)
    each = outputs_by_hand(model, X, 5, stratified=False)
    first = numbers(torch.stack([y[0] if isinstance(y, tuple) else y for y in each]))
    values = {"regression": first, "gaussian": first, "quantile": first}.get(kind)
    if values is not None:
        close(found.mean, values.mean(0))
        close(found.variance, values.var(0, ddof=1))
    elif kind == "multi_label":
        close(found.variance, sigmoid(first).var(0, ddof=1))
    torch.testing.assert_close(found.variance, found.draws.var(0), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", EVERY)
def test_samples_are_drawn_until_the_mean_of_every_kind_is_sure_enough(kind):
    model, options = EVERY[kind]
    tolerance = 0.08 if kind in ("regression", "gaussian", "quantile") else 0.004
    options = options | {"kind": kind, "tolerance": tolerance}
    stratified = predict(model, X, "auto", **options)
    independent = predict(model, X, "auto", draws="independent", **options)
    assert 52 == stratified.samples < independent.samples < 1300


def test_several_outputs_go_on_until_each_is_sure_enough():
    model = Net(5, FORMS["a dictionary"])
    options = {"tolerance": 0.06, "draws": "independent"}
    alone = predict(model, X, "auto", kind="regression", scores="depth", **options)
    first = predict(model, X, "auto", scores="seen", **options)
    both = predict(model, X, "auto", kind=KINDS, **options)
    assert both["seen"].samples == both["depth"].samples == max(alone.samples, first.samples)
    assert alone.samples != first.samples
