"""Search over plans: spaces to choose from, samplers that learn what to try next."""

from dropsmith.search import spaces
from dropsmith.search._from_json import space_from_json
from dropsmith.search._search import search
from dropsmith.search.attempt import Attempt, Pruned, Score
from dropsmith.search.controller import Controller
from dropsmith.search.conv_space import ConvSpace, ConvTokens
from dropsmith.search.executor import (
    Ended,
    Event,
    Executor,
    Failed,
    Finished,
    Job,
    Reported,
    Stopped,
)
from dropsmith.search.from_optuna import TPE, Evolution, RandomSampler
from dropsmith.search.learning import Learning
from dropsmith.search.listed import ListedSpace, Part, part
from dropsmith.search.local import LocalExecutor
from dropsmith.search.pruning import PRUNERS
from dropsmith.search.sampler import Proposal, Sampler, State, Told
from dropsmith.search.samplers import SAMPLERS
from dropsmith.search.sequence_space import SequenceSpace, SequenceTokens
from dropsmith.search.serial import SerialExecutor
from dropsmith.search.snapshot import load_state, save_state
from dropsmith.search.space import Choice, Space, Tokens, Value
from dropsmith.search.trial import Progress, Result, Trial, Watch

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "TPE",
    "Attempt",
    "Choice",
    "Controller",
    "ConvSpace",
    "ConvTokens",
    "Ended",
    "Event",
    "Evolution",
    "Executor",
    "Failed",
    "Finished",
    "Job",
    "Learning",
    "ListedSpace",
    "LocalExecutor",
    "Part",
    "Progress",
    "Proposal",
    "Pruned",
    "RandomSampler",
    "Reported",
    "Result",
    "Sampler",
    "Score",
    "SequenceSpace",
    "SequenceTokens",
    "SerialExecutor",
    "Space",
    "State",
    "Stopped",
    "Tokens",
    "Told",
    "Trial",
    "Value",
    "Watch",
    "load_state",
    "part",
    "save_state",
    "search",
    "space_from_json",
    "spaces",
]
