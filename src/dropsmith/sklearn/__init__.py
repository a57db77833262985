"""Estimators of scikit-learn: neural networks with dropout, consistency losses and uncertainty."""

from dropsmith.sklearn.estimators import Classifier, Regressor

__all__ = ["Classifier", "Regressor"]
