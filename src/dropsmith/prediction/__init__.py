"""Prediction: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.prediction.calibration import Reliability, reliability
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.prediction import Prediction
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.stream import PredictionStream, stream_predictions

__all__ = [
    "Prediction",
    "PredictionStream",
    "Reliability",
    "native_plan",
    "predict",
    "reliability",
    "stream_predictions",
]
