"""The folder of a finished run: what is in it, how it is written, and how it is read back."""

from dropsmith.run_folder.description import Column, RunDescription, describes_run
from dropsmith.run_folder.hub_folder import push_folder
from dropsmith.run_folder.load import is_run, load, read_record, run_folder
from dropsmith.run_folder.predictor import Predictor
from dropsmith.run_folder.weights import (
    WEIGHTS,
    first_names,
    load_weights,
    read_weights,
    weight_differences,
)
from dropsmith.run_folder.write import GENERATED, PREPROCESSING, RECORD, FinishedRun

__all__ = [
    "GENERATED",
    "PREPROCESSING",
    "RECORD",
    "WEIGHTS",
    "Column",
    "FinishedRun",
    "Predictor",
    "RunDescription",
    "describes_run",
    "first_names",
    "is_run",
    "load",
    "load_weights",
    "push_folder",
    "read_record",
    "read_weights",
    "run_folder",
    "weight_differences",
]
