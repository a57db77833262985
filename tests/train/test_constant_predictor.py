"""A predictor that looks at no input, against scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor

from dropsmith.tasks import Data, Split, find_task
from dropsmith.train.constant_predictor import constant_scores
from dropsmith.train.evaluation import evaluate
from sklearn import metrics

DIGITS, SCALE = find_task("digits"), find_task("sentiment-scale")


def data(train, test, classes, unit=1.0):
    parts = [
        Split({"image": torch.zeros(len(labels), 1), "labels": torch.as_tensor(labels)}, unit=unit)
        for labels in (train, test, test)
    ]
    return Data.of(parts, names=[str(c) for c in range(classes)], source="here")


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_of_classes_it_is_the_prior_of_training(classes):
    rng = np.random.default_rng(classes)
    shares = rng.dirichlet(np.ones(classes))
    train = [*range(classes), *rng.choice(classes, 200, p=shares)]
    test = [*range(classes), *rng.choice(classes, 90, p=shares)]
    found = constant_scores(DIGITS, data(train, test, classes))
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(train), 1)), train)
    choice, prior = (
        dummy.predict(np.zeros((len(test), 1))),
        dummy.predict_proba(np.zeros((len(test), 1))),
    )
    assert found["test_constant_accuracy"] == pytest.approx(metrics.accuracy_score(test, choice))
    assert found["test_constant_nll"] == pytest.approx(metrics.log_loss(test, prior))
    for average in ("macro", "weighted"):
        wanted = metrics.f1_score(test, choice, average=average, zero_division=0)
        assert found[f"test_constant_{average}_f1"] == pytest.approx(wanted)
    assert found["test_constant_auroc"] == pytest.approx(0.5)


def test_a_class_without_training_examples_makes_no_infinite_loss():
    found = constant_scores(DIGITS, data([0, 0, 1], [0, 1, 2], 3))
    assert math.isfinite(found["test_constant_nll"])


@pytest.mark.parametrize("unit", [1.0, 2.5])
def test_of_values_it_is_the_mean_of_training(unit):
    rng = np.random.default_rng(0)
    train, test = (rng.normal(0.3, 1, n).astype(np.float32) for n in (70, 40))
    found = constant_scores(SCALE, data(train, test, 0, unit))
    dummy = DummyRegressor().fit(np.zeros((70, 1)), train)
    guess = dummy.predict(np.zeros((40, 1)))
    wanted = unit * metrics.root_mean_squared_error(test, guess)
    assert found["test_constant_rmse"] == pytest.approx(wanted, rel=1e-5)
    assert found["test_constant_mae"] == pytest.approx(
        unit * metrics.mean_absolute_error(test, guess), rel=1e-5
    )
    assert found["test_constant_r2"] == pytest.approx(metrics.r2_score(test, guess), abs=1e-5)


def test_a_text_with_a_label_for_each_word_has_none():
    parts = [Split({"tokens": torch.zeros(4, 3), "labels": torch.zeros(4, 3).long()})] * 3
    made = Data.of(parts, names=["a", "b"], source="here")
    assert constant_scores(find_task("python-docs"), made) == {}


class Given(torch.nn.Module):
    """Returns the rows it is given."""

    def forward(self, image):
        return image


@pytest.mark.parametrize("classes", [2, 5])
def test_all_scores_of_classes_are_those_of_scikit_learn(classes):
    rng = np.random.default_rng(1)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 600)])
    scores = rng.normal(0, 1, (len(labels), classes)) + 1.2 * np.eye(classes)[labels]
    part = Split({"image": torch.tensor(scores), "labels": torch.tensor(labels)})
    plain = evaluate(Given(), DIGITS, part)
    found = evaluate(Given(), DIGITS, part, all_scores=True)
    assert found.keys() - plain.keys() == {"macro_f1", "weighted_f1", "auroc"}
    chance = torch.tensor(scores).softmax(-1).numpy()
    for average in ("macro", "weighted"):
        wanted = metrics.f1_score(labels, scores.argmax(1), average=average)
        assert found[f"{average}_f1"] == pytest.approx(wanted, rel=1e-5)
    areas = [metrics.roc_auc_score(labels == c, chance[:, c]) for c in range(classes)]
    assert found["auroc"] == pytest.approx(np.mean(areas), rel=1e-5)


def test_the_area_under_the_curve_is_of_the_classes_that_are_there():
    labels = np.array([0, 0, 1, 1, 1])
    scores = np.random.default_rng(3).normal(0, 1, (5, 4))
    part = Split({"image": torch.tensor(scores), "labels": torch.tensor(labels)})
    chance = torch.tensor(scores).softmax(-1).numpy()
    areas = [metrics.roc_auc_score(labels == c, chance[:, c]) for c in (0, 1)]
    found = evaluate(Given(), DIGITS, part, all_scores=True)["auroc"]
    assert found == pytest.approx(np.mean(areas), rel=1e-5)
    alone = Split({"image": torch.tensor(scores), "labels": torch.zeros(5).long()})
    assert evaluate(Given(), DIGITS, alone, all_scores=True)["auroc"] == 0


@pytest.mark.parametrize("count", [1, 2, 257])
def test_all_scores_of_values_are_those_of_scikit_learn(count):
    rng = np.random.default_rng(2)
    labels = rng.normal(0, 1, count).astype(np.float32)
    values = labels + rng.normal(0, 0.4, count).astype(np.float32)
    columns = {"image": torch.tensor(values)[:, None], "labels": torch.tensor(labels)}
    found = evaluate(Given(), SCALE, Split(columns, unit=2.0), all_scores=True)
    assert found["mae"] == pytest.approx(2 * metrics.mean_absolute_error(labels, values), rel=1e-4)
    wanted = metrics.r2_score(labels, values) if count > 1 else 0
    assert found["r2"] == pytest.approx(wanted, abs=1e-4)
