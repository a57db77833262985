"""What is dropped: frozen values that draw masks from a key."""

from dropsmith.patterns._from_json import from_json
from dropsmith.patterns._pattern import Pattern, Rate
from dropsmith.patterns._schedule import Schedule
from dropsmith.patterns.bernoulli import Bernoulli
from dropsmith.patterns.blocks import Blocks
from dropsmith.patterns.gaussian import Gaussian
from dropsmith.patterns.native import Native, Off
from dropsmith.patterns.path import Path
from dropsmith.patterns.per_view import PerView
from dropsmith.patterns.schedules import ByDepth, Cyclic, Early, Late, Linear
from dropsmith.patterns.spans import Spans
from dropsmith.patterns.tiles import Tiles
from dropsmith.patterns.weights import Weights
from dropsmith.patterns.words import Words

__all__ = [
    "Bernoulli",
    "Blocks",
    "ByDepth",
    "Cyclic",
    "Early",
    "Gaussian",
    "Late",
    "Linear",
    "Native",
    "Off",
    "Path",
    "Pattern",
    "PerView",
    "Rate",
    "Schedule",
    "Spans",
    "Tiles",
    "Weights",
    "Words",
    "from_json",
]
