"""Objectives: the task loss of a batch, and consistency terms between its views."""

from dropsmith.objectives import conventions, distances, losses
from dropsmith.objectives._agreement import TASK, ConsistencyObjective, ConsistencyTerm
from dropsmith.objectives._objective import LossFunction, Objective
from dropsmith.objectives._reading import check_objective, from_json
from dropsmith.objectives._small_scores import CrossEntropyInputs
from dropsmith.objectives.activation import ActivationNorm
from dropsmith.objectives.consistency import consistency
from dropsmith.objectives.fix_match import FixMatch
from dropsmith.objectives.lr_drop import LRDrop
from dropsmith.objectives.r_drop import RDrop
from dropsmith.objectives.squared import ExpectationLinear, Fraternal, PiModel, SquaredDistance
from dropsmith.objectives.task_loss import TaskLoss, TwoSample
from dropsmith.objectives.uda import UDA

__all__ = [
    "TASK",
    "UDA",
    "ActivationNorm",
    "ConsistencyObjective",
    "ConsistencyTerm",
    "CrossEntropyInputs",
    "ExpectationLinear",
    "FixMatch",
    "Fraternal",
    "LRDrop",
    "LossFunction",
    "Objective",
    "PiModel",
    "RDrop",
    "SquaredDistance",
    "TaskLoss",
    "TwoSample",
    "check_objective",
    "consistency",
    "conventions",
    "distances",
    "from_json",
    "losses",
]
