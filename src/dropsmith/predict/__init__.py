"""How sure a model is: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.predict._predict import predict
from dropsmith.predict._reading import Reading, reading
from dropsmith.predict.calibration import Reliability, reliability
from dropsmith.predict.native import native_plan
from dropsmith.predict.prediction import Kind, Prediction

__all__ = [
    "Kind",
    "Prediction",
    "Reading",
    "Reliability",
    "native_plan",
    "predict",
    "reading",
    "reliability",
]
