"""How sure a model is: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.predict._predict import predict
from dropsmith.predict.calibration import Reliability, reliability
from dropsmith.predict.native import native_plan
from dropsmith.predict.prediction import Kind, Prediction

__all__ = ["Kind", "Prediction", "Reliability", "native_plan", "predict", "reliability"]
