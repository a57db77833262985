"""Prediction: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.prediction.checks import check_sampling
from dropsmith.prediction.draws import Draws, strata_of
from dropsmith.prediction.frame import Table
from dropsmith.prediction.heads import Head
from dropsmith.prediction.kinds import PREDICTION_KINDS, PredictionKind
from dropsmith.prediction.moments import one_pass
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.prediction import Prediction, join_predictions
from dropsmith.prediction.probe import probe
from dropsmith.prediction.run_forecast import forecast
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.run_samples import budget_of, chunks_of, unwrapped
from dropsmith.prediction.sampler import Sampler
from dropsmith.prediction.sampling import sampling
from dropsmith.prediction.stream import Carry, PredictionStream, stream_predictions

__all__ = [
    "PREDICTION_KINDS",
    "Carry",
    "Draws",
    "Head",
    "Prediction",
    "PredictionKind",
    "PredictionStream",
    "Sampler",
    "Table",
    "budget_of",
    "check_sampling",
    "chunks_of",
    "forecast",
    "join_predictions",
    "native_plan",
    "one_pass",
    "predict",
    "probe",
    "sampling",
    "strata_of",
    "stream_predictions",
    "unwrapped",
]
