"""Samplers: the learned controller, and random search, TPE and evolution by way of Optuna."""

from dropsmith.pattern_search.samplers.controller import Controller
from dropsmith.pattern_search.samplers.learning import Learning
from dropsmith.pattern_search.samplers.optuna_samplers import TPE, Evolution, RandomSampler
from dropsmith.pattern_search.samplers.sampler import (
    Proposal,
    Sampler,
    State,
    TrialResult,
    load_state,
    save_state,
)

__all__ = [
    "TPE",
    "Controller",
    "Evolution",
    "Learning",
    "Proposal",
    "RandomSampler",
    "Sampler",
    "State",
    "TrialResult",
    "load_state",
    "save_state",
]
