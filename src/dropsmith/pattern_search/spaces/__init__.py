"""Spaces of plans: written by hand, or made from a model by `conv`, `sequence` and `units`."""

from dropsmith.pattern_search.spaces.conv_space import ConvSpace, ConvTokens
from dropsmith.pattern_search.spaces.listed_space import ListedSpace, Part, part
from dropsmith.pattern_search.spaces.model_spaces import conv, sequence, space_from_json
from dropsmith.pattern_search.spaces.sequence_space import SequenceSpace, SequenceTokens
from dropsmith.pattern_search.spaces.space import Choice, Space, Tokens, Value
from dropsmith.pattern_search.spaces.unit_space import UnitTokens, units

__all__ = [
    "Choice",
    "ConvSpace",
    "ConvTokens",
    "ListedSpace",
    "Part",
    "SequenceSpace",
    "SequenceTokens",
    "Space",
    "Tokens",
    "UnitTokens",
    "Value",
    "conv",
    "part",
    "sequence",
    "space_from_json",
    "units",
]
