"""Prediction: many noisy passes without gradients, averaged, with their spread."""

from dropsmith.prediction.checks import check_sampling
from dropsmith.prediction.draws import Draws, strata_of
from dropsmith.prediction.frame import Table
from dropsmith.prediction.heads import Head, HeadOptions, Parts, Places
from dropsmith.prediction.kinds import PREDICTION_KINDS, PredictionKind
from dropsmith.prediction.moments import one_pass
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.no_uncertainty import no_noise
from dropsmith.prediction.prediction import Prediction, join_predictions
from dropsmith.prediction.probe import probe
from dropsmith.prediction.readings import entropy_of, read_scores
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
    "HeadOptions",
    "Parts",
    "Places",
    "Prediction",
    "PredictionKind",
    "PredictionStream",
    "Sampler",
    "Table",
    "budget_of",
    "check_sampling",
    "chunks_of",
    "entropy_of",
    "forecast",
    "join_predictions",
    "native_plan",
    "no_noise",
    "one_pass",
    "predict",
    "probe",
    "read_scores",
    "sampling",
    "strata_of",
    "stream_predictions",
    "unwrapped",
]
