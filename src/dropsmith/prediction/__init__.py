"""Prediction: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.prediction.frame import Table
from dropsmith.prediction.kinds import PREDICTION_KINDS, PredictionKind
from dropsmith.prediction.moments import one_pass
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.prediction import Prediction, join_predictions
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.stream import PredictionStream, stream_predictions

__all__ = [
    "PREDICTION_KINDS",
    "Prediction",
    "PredictionKind",
    "PredictionStream",
    "Table",
    "join_predictions",
    "native_plan",
    "one_pass",
    "predict",
    "stream_predictions",
]
