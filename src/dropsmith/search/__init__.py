"""Search over plans: spaces to choose from, samplers that learn what to try next."""

from dropsmith.search import spaces
from dropsmith.search._from_json import space_from_json
from dropsmith.search.controller import Controller
from dropsmith.search.conv_space import ConvSpace, ConvTokens
from dropsmith.search.from_optuna import TPE, Evolution, RandomSampler
from dropsmith.search.learning import Learning
from dropsmith.search.listed import ListedSpace, Part, part
from dropsmith.search.sampler import Proposal, Sampler, State, Told
from dropsmith.search.samplers import SAMPLERS
from dropsmith.search.sequence_space import SequenceSpace, SequenceTokens
from dropsmith.search.snapshot import load_state, save_state
from dropsmith.search.space import Choice, Space, Tokens, Value

__all__ = [
    "SAMPLERS",
    "TPE",
    "Choice",
    "Controller",
    "ConvSpace",
    "ConvTokens",
    "Evolution",
    "Learning",
    "ListedSpace",
    "Part",
    "Proposal",
    "RandomSampler",
    "Sampler",
    "SequenceSpace",
    "SequenceTokens",
    "Space",
    "State",
    "Tokens",
    "Told",
    "Value",
    "load_state",
    "part",
    "save_state",
    "space_from_json",
    "spaces",
]
