"""Classifier and regressor with the interface of scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from dropsmith.errors import TaskError
from dropsmith.numbers import check_number, check_whole
from dropsmith.objectives import Objective, check_objective
from dropsmith.passes import logits_of
from dropsmith.plans import Plan, check_plan
from dropsmith.prediction import Prediction, join_predictions, predict
from dropsmith.sklearn.network import Module, network_of
from dropsmith.sklearn.training import History, Kind, Training, fit_network

_ROWS = 1024
"""Examples predicted at a time."""

_LARGEST_SEED = 2**31 - 1


class _Estimator(BaseEstimator):
    """What both estimators share: the settings, the fit and predictions with noise."""

    _kind: Kind

    def __init__(
        self,
        module: Module = None,
        *,
        hidden: Sequence[int] = (64, 64),
        rate: float | None = None,
        plan: Plan | None = None,
        objective: Objective | None = None,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        samples: int = 50,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.module = module
        self.hidden = hidden
        self.rate = rate
        self.plan = plan
        self.objective = objective
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.samples = samples
        self.device = device
        self.random_state = random_state

    def predict_samples(self, X: Any) -> Prediction:
        """Predict by many passes with noise: their mean, variance, entropy, mutual information.

        Args:
            X: rows of numbers.

        Raises:
            NoiseError: the network has no noise, so that all passes would be equal.
        """
        x = self._checked_rows(X)
        parts = [
            predict(
                self.network_,
                rows,
                self.samples,
                plan=self.plan,
                seed=self.seed_ + index,
                kind=self._kind,
            )
            for index, rows in enumerate(x.split(_ROWS))
        ]
        return join_predictions(parts)

    def _fit_rows(self, x: np.ndarray, y: np.ndarray, outputs: int) -> None:
        self._check_settings()
        state = check_random_state(self.random_state)
        self.seed_ = int(state.randint(_LARGEST_SEED))
        device = torch.device(self.device or "cpu")
        held_out = None
        if self.early_stopping:
            stratify = y if self._kind == "classification" else None
            parts: Any = train_test_split(
                x, y, test_size=self.validation_fraction, random_state=self.seed_, stratify=stratify
            )
            x, held_x, y, held_y = parts
            held_out = self._tensors(held_x, held_y, device)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed_)
            network = network_of(self.module, self.hidden, self._rate(), x.shape[1], outputs)
            history = fit_network(
                network.to(device), self._training(), self._tensors(x, y, device), held_out
            )
        self.network_ = network
        self.n_iter_ = len(history.losses)
        self.history_: History = history

    def _rate(self) -> float | None:
        """The rate of the default network: none of its own where a plan brings the noise."""
        if self.module is None and self.plan is not None and self.rate is None:
            return 0.0
        return self.rate

    def _training(self) -> Training:
        return Training(
            kind=self._kind,
            plan=self.plan,
            objective=self.objective,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience if self.early_stopping else None,
            seed=self.seed_,
        )

    def _check_settings(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            check_whole(name, getattr(self, name), 1, TaskError)
        check_whole("samples", self.samples, 2, TaskError)
        for width in self.hidden:
            check_whole("a width of hidden", width, 1, TaskError)
        check_number("learning_rate", self.learning_rate, TaskError)
        check_number("weight_decay", self.weight_decay, TaskError)
        if self.objective is not None:
            check_objective(self.objective, "objective= takes an objective, or None")
        if self.plan is not None:
            check_plan(self.plan, "plan= takes a plan, or None")

    def _tensors(self, x: np.ndarray, y: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        dtype = torch.long if self._kind == "classification" else torch.float32
        labels = torch.tensor(y, dtype=dtype, device=device)
        return torch.tensor(x, dtype=torch.float32, device=device), labels

    def _checked_rows(self, X: Any) -> Tensor:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        return torch.tensor(rows, dtype=torch.float32, device=self.device or "cpu")

    def _scores(self, X: Any) -> np.ndarray:
        """Scores of one pass without noise."""
        x = self._checked_rows(X)
        with torch.no_grad():
            parts = [logits_of(self.network_(rows)) for rows in x.split(_ROWS)]
        return torch.cat(parts).double().cpu().numpy()


class Classifier(ClassifierMixin, _Estimator):
    """A neural classifier with dropout, for pipelines, grids and cross-validation.

    `predict` and `predict_proba` are of one pass without noise; `predict_std`, `predict_entropy`
    and `predict_mutual_information` of many passes with it. Columns should be of like size, as
    `StandardScaler` makes them. Settings are checked by `fit`.

    >>> from sklearn.datasets import load_iris
    >>> import dropsmith as ds
    >>> x, y = load_iris(return_X_y=True)
    >>> model = Classifier(hidden=(16,), objective=ds.RDrop(alpha=1), epochs=20, random_state=0)
    >>> model.fit(x, y).predict_proba(x[:2]).shape
    (2, 3)
    >>> model.predict_mutual_information(x[:2]).shape
    (2,)

    Args:
        module: a `torch.nn.Module`, which is copied; or a class or function that makes one of the
            numbers of features and outputs; by default linear layers with ReLU and dropout.
        hidden: units of each hidden layer of the default network.
        rate: its dropout rate: 0.2 by default, and 0 where a plan brings the noise.
        plan: where noise goes, in place of or beside the network's own; see `dropsmith.Plan`.
        objective: a consistency objective such as `RDrop(alpha=1)`; None for the usual loss.
        epochs: passes over the training examples, at most.
        batch_size: examples in a step.
        learning_rate, weight_decay: of AdamW.
        early_stopping: whether to hold out examples, end when their loss stops falling, and keep
            the weights that were best.
        validation_fraction: the share held out.
        patience: epochs without a better loss after which training ends.
        samples: passes with noise for the uncertainties.
        device: such as `cuda`; the CPU by default.
        random_state: seed of weights, order and noise, as everywhere in scikit-learn.

    Attributes:
        classes_: the labels, in the order of the columns of `predict_proba`.
        network_: the trained module, in eval mode.
        history_: the losses of each epoch; n_iter_: how many there were.
    """

    _kind = "classification"

    def fit(self, X: Any, y: Any) -> "Classifier":
        """Train a new network.

        Args:
            X: rows of numbers: an array or a DataFrame.
            y: a label for each, of any type.

        Raises:
            TaskError: a setting is none, or there is one class alone.
            TrainingError: the loss is not finite.
        """
        checked: Any = validate_data(self, X, y, dtype=np.float64)
        rows, labels = checked
        check_classification_targets(labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise TaskError(
                f"the labels are of one class alone: {self.classes_[0]!r}\n"
                "  a classifier needs two or more"
            )
        self._fit_rows(rows, numbers, len(self.classes_))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The label of each row, by one pass without noise."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(-1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities `[rows, classes]`, by one pass without noise."""
        return torch.from_numpy(self._scores(X)).softmax(-1).numpy()

    def predict_std(self, X: Any) -> np.ndarray:
        """The standard deviation of the probabilities over passes with noise."""
        return self.predict_samples(X).variance.sqrt().cpu().numpy()

    def predict_entropy(self, X: Any) -> np.ndarray:
        """The entropy of the mean of passes with noise, in nats: all that is uncertain."""
        entropy = self.predict_samples(X).entropy
        assert entropy is not None
        return entropy.cpu().numpy()

    def predict_mutual_information(self, X: Any) -> np.ndarray:
        """The part of the entropy on which passes disagree, in nats: what the model lacks."""
        information = self.predict_samples(X).mutual_information
        assert information is not None
        return information.cpu().numpy()


class Regressor(RegressorMixin, _Estimator):
    """A neural regressor with dropout, for pipelines, grids and cross-validation.

    `predict` is of one pass without noise, `predict_std` of many passes with it. Targets are
    standardised while training; columns should be of like size, as `StandardScaler` makes them.

    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> model = Regressor(hidden=(16,), epochs=20, random_state=0).fit(x, x[:, 0] ** 2)
    >>> model.predict(x[:3]).shape, model.predict_std(x[:3]).shape
    ((3,), (3,))

    The arguments are those of `Classifier`. Targets may have several columns. An objective with a
    `kind`, such as `RDrop`, compares values.

    Attributes:
        network_: the trained module, in eval mode; its outputs are standardised targets.
        history_: the losses of each epoch; n_iter_: how many there were.
    """

    _kind = "regression"

    def fit(self, X: Any, y: Any) -> "Regressor":
        """Train a new network.

        Args:
            X: rows of numbers: an array or a DataFrame.
            y: a number for each, or several.

        Raises:
            TaskError: a setting is none.
            TrainingError: the loss is not finite.
        """
        checked: Any = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True
        )
        rows, targets = checked
        columns = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
        self._is_flat = targets.ndim == 1
        self._mean, spread = columns.mean(0), columns.std(0)
        self._spread = np.where(spread > 0, spread, 1.0)
        self._fit_rows(rows, (columns - self._mean) / self._spread, columns.shape[1])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The value of each row, by one pass without noise."""
        scores = self._scores(X)
        return self._shaped(scores.reshape(len(scores), -1) * self._spread + self._mean)

    def predict_std(self, X: Any) -> np.ndarray:
        """The standard deviation of the values over passes with noise."""
        deviation = self.predict_samples(X).variance.sqrt().double().cpu().numpy()
        return self._shaped(deviation.reshape(len(deviation), -1) * self._spread)

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0] if self._is_flat else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
