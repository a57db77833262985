"""Dropout and the methods built on it, for any PyTorch model."""

import importlib
from typing import TYPE_CHECKING, Any

from dropsmith import recurrent
from dropsmith._version import __version__
from dropsmith.activations import taps
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import DropsmithError
from dropsmith.generation import generate, likelihood
from dropsmith.noise import noise_of, plan_of, sites, step
from dropsmith.objectives import (
    UDA,
    ConsistencyObjective,
    ConsistencyTerm,
    ExpectationLinear,
    FixMatch,
    Fraternal,
    LRDrop,
    Objective,
    PiModel,
    RDrop,
    TaskLoss,
    TwoSample,
)
from dropsmith.passes import Audit, Views, audit, views
from dropsmith.pattern_search import search, spaces
from dropsmith.patterns import (
    Bernoulli,
    CyclicRate,
    DepthRate,
    DropBlock,
    DropConnect,
    EarlyRate,
    Gaussian,
    LateRate,
    LinearRate,
    Off,
    Pattern,
    Spans,
    StochasticDepth,
    Tiles,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans import Plan, Rule, Site, rule, select
from dropsmith.prediction import Prediction, forecast, predict
from dropsmith.record import Record

if TYPE_CHECKING:
    from dropsmith import sklearn
    from dropsmith.deployment import export
    from dropsmith.run_folder import load

__all__ = [
    "UDA",
    "Audit",
    "Bernoulli",
    "ConsistencyObjective",
    "ConsistencyTerm",
    "CyclicRate",
    "DepthRate",
    "DropBlock",
    "DropConnect",
    "DropsmithError",
    "EarlyRate",
    "ExpectationLinear",
    "FixMatch",
    "Fraternal",
    "Gaussian",
    "LRDrop",
    "LateRate",
    "LinearRate",
    "Objective",
    "Off",
    "Pattern",
    "PiModel",
    "Plan",
    "Prediction",
    "RDrop",
    "Record",
    "Rule",
    "Site",
    "Spans",
    "StochasticDepth",
    "TaskLoss",
    "Tiles",
    "TorchDropout",
    "TwoSample",
    "Views",
    "WordDropout",
    "__version__",
    "audit",
    "consistent",
    "export",
    "forecast",
    "generate",
    "likelihood",
    "load",
    "noise_of",
    "plan_of",
    "predict",
    "recurrent",
    "restore",
    "rule",
    "search",
    "select",
    "sites",
    "sklearn",
    "spaces",
    "step",
    "taps",
    "terms_of",
    "views",
]


def __getattr__(name: str) -> Any:
    """`load`, `export` and `sklearn`, which bring in much that few need, when somebody asks."""
    if name == "load":
        from dropsmith.run_folder import load

        return load
    if name == "export":
        from dropsmith.deployment import export

        return export
    if name == "sklearn":
        return importlib.import_module("dropsmith.sklearn")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
