"""Patterns of dropout: frozen values that draw masks from a key."""

from dropsmith.patterns._from_json import check_pattern, from_json, with_present_names
from dropsmith.patterns._pattern import Pattern, Rate
from dropsmith.patterns._schedule import Schedule
from dropsmith.patterns.bernoulli import Bernoulli
from dropsmith.patterns.drop_block import DropBlock
from dropsmith.patterns.drop_connect import DropConnect
from dropsmith.patterns.gaussian import Gaussian
from dropsmith.patterns.per_view import PerView
from dropsmith.patterns.schedules import CyclicRate, DepthRate, EarlyRate, LateRate, LinearRate
from dropsmith.patterns.spans import Spans
from dropsmith.patterns.stochastic_depth import StochasticDepth
from dropsmith.patterns.tiles import Tiles
from dropsmith.patterns.torch_dropout import Off, TorchDropout
from dropsmith.patterns.word_dropout import WordDropout

__all__ = [
    "Bernoulli",
    "CyclicRate",
    "DepthRate",
    "DropBlock",
    "DropConnect",
    "EarlyRate",
    "Gaussian",
    "LateRate",
    "LinearRate",
    "Off",
    "Pattern",
    "PerView",
    "Rate",
    "Schedule",
    "Spans",
    "StochasticDepth",
    "Tiles",
    "TorchDropout",
    "WordDropout",
    "check_pattern",
    "from_json",
    "with_present_names",
]
