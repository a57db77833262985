"""Estimators keep scikit-learn's promises, and are trained and sampled as the library says."""
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import dropsmith as ds
from dropsmith.errors import DropsmithError, ModelError, NoiseError, TaskError
from dropsmith.sklearn import Classifier, Regressor

SMALL: dict[str, Any] = {"hidden": (16,), "epochs": 10, "learning_rate": 0.03, "random_state": 0}


@parametrize_with_checks([Classifier(**SMALL), Regressor(**SMALL)])
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def fitted(iris):
    """A classifier of iris trained with R-Drop."""
    return Classifier(objective=ds.RDrop(alpha=1.0), **SMALL).fit(*iris)


def test_it_learns_and_its_probabilities_are_those_of_a_pass_without_noise(fitted, iris):
    x, y = iris
    assert fitted.score(x, y) > 0.9
    with torch.no_grad():
        scores = fitted.network_(torch.tensor(x, dtype=torch.float32))
    assert np.allclose(fitted.predict_proba(x), scores.softmax(-1).numpy(), atol=1e-6)
    assert (fitted.predict(x) == scores.argmax(-1).numpy()).all()


def test_uncertainties_are_those_of_many_passes(fitted, iris):
    x = iris[0][:7]
    tensor = torch.tensor(x, dtype=torch.float32)
    prediction = ds.predict(fitted.network_, tensor, 50, seed=fitted.seed_)
    assert np.allclose(fitted.predict_std(x), prediction.variance.sqrt())
    assert np.allclose(fitted.predict_entropy(x), prediction.entropy)
    information = fitted.predict_mutual_information(x)
    assert np.allclose(information, prediction.mutual_information)
    assert (information > 0).all()
    assert (fitted.predict_std(x) == fitted.predict_std(x)).all()


def test_an_objective_changes_the_fit_and_leaves_a_plain_network(fitted, iris):
    plain = Classifier(**SMALL).fit(*iris)
    assert not np.allclose(plain.predict_proba(iris[0]), fitted.predict_proba(iris[0]))
    again = Classifier(objective=ds.RDrop(alpha=1.0), **SMALL).fit(*iris)
    assert (again.predict_proba(iris[0]) == fitted.predict_proba(iris[0])).all()
    assert type(clone(fitted).fit(*iris).network_(torch.ones(2, 4))) is torch.Tensor
    assert not fitted.network_.training
    copy = pickle.loads(pickle.dumps(fitted))
    assert (copy.predict_proba(iris[0]) == fitted.predict_proba(iris[0])).all()


def test_torchs_generator_is_left_alone(iris):
    before = torch.get_rng_state()
    Classifier(**{**SMALL, "epochs": 1}).fit(*iris).predict_std(iris[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_may_be_words(iris):
    words = np.array(["setosa", "versicolor", "virginica"], dtype=object)[iris[1]]
    model = Classifier(**SMALL).fit(iris[0], words)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert (model.predict(iris[0]) == words).mean() > 0.9


def test_it_stands_in_a_pipeline_and_a_grid():
    x, y = make_moons(80, noise=0.2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), Classifier(**{**SMALL, "epochs": 4}))
    grid = {
        "classifier__rate": [0.1, 0.3],
        "classifier__objective": [None, ds.Fraternal(kappa=0.1)],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    assert set(search.best_params_) == set(grid)
    assert len(cross_val_score(pipeline, x, y, cv=2)) == 2


def test_tables_keep_the_names_of_their_columns(iris):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(iris[0], columns=["a", "b", "c", "d"])
    model = Classifier(**{**SMALL, "epochs": 1}).fit(frame, pandas.Series(iris[1]))
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])


class Net(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.first, self.second = nn.Linear(features, 8), nn.Linear(8, outputs)

    def forward(self, x):
        return self.second(self.first(x).relu())


@pytest.mark.parametrize("module", [Net, Net(4, 3)])
def test_a_module_of_ones_own_is_trained_under_a_plan(module, iris):
    plan = ds.Plan(ds.rule("second.input", ds.Bernoulli(rate=0.5)))
    model = Classifier(module, plan=plan, **SMALL).fit(*iris)
    assert model.score(*iris) > 0.9
    assert ds.plan_of(model.network_) is None
    assert (model.predict_mutual_information(iris[0]) > 0).all()
    if isinstance(module, nn.Module):
        assert model.network_ is not module
        assert not torch.equal(model.network_.first.weight, module.first.weight)


def test_early_stopping_holds_examples_out_and_keeps_the_best_weights(iris):
    settings = {**SMALL, "epochs": 60, "learning_rate": 0.1}  # too large, so that losses rise
    model = Classifier(early_stopping=True, patience=3, **settings).fit(*iris)
    losses = model.history_.validation_losses
    assert model.n_iter_ == len(losses) < 60
    assert min(losses) < losses[-1]
    assert len(losses) - 1 - losses.index(min(losses)) == 3


def test_a_regressor_predicts_in_the_units_of_its_targets():
    x = np.linspace(-1, 1, 80)[:, None]
    y = 1000 + 50 * x[:, 0]
    model = Regressor(objective=ds.RDrop(alpha=0.1), **{**SMALL, "epochs": 60}).fit(x, y)
    assert model.score(x, y) > 0.8
    std = model.predict_std(x)
    assert std.shape == (80,)
    assert 0.5 < std.mean() < 50
    both = Regressor(**SMALL).fit(x, np.stack([y, -y], 1))
    assert both.predict(x).shape == both.predict_std(x).shape == (80, 2)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"objective": "r-drop"}, DropsmithError, "did you mean RDrop"),
        ({"plan": "plan.json"}, DropsmithError, r"write Plan\.load"),
        ({"epochs": 0}, TaskError, "epochs"),
        ({"batch_size": 1.5}, TaskError, "batch_size"),
        ({"samples": 1}, TaskError, "samples"),
        ({"module": "net"}, ModelError, "the string 'net' was given"),
        ({"module": lambda features, outputs: 3}, ModelError, "but 3 was given"),
        ({"module": Net, "rate": 0.5}, ModelError, "put nn.Dropout into the module"),
    ],
)
def test_a_setting_that_is_none_is_refused_in_a_sentence(iris, settings, error, says):
    with pytest.raises(error, match=says):
        Classifier(**settings).fit(*iris)


def test_one_class_is_none_to_tell_apart(iris):
    with pytest.raises(TaskError, match="one class alone"):
        Classifier(**SMALL).fit(iris[0], np.zeros(len(iris[0])))


def test_without_noise_there_is_no_uncertainty(iris):
    model = Classifier(**{**SMALL, "epochs": 1}, rate=0.0).fit(*iris)
    with pytest.raises(NoiseError):
        model.predict_std(iris[0])
