"""Prediction: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.prediction.calibration import Reliability, reliability
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.prediction import Prediction
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.stream import Reading, reading

__all__ = [
    "Prediction",
    "Reading",
    "Reliability",
    "native_plan",
    "predict",
    "reading",
    "reliability",
]
