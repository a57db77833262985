"""Search over plans: spaces to choose from, samplers that learn what to try next."""

from dropsmith.search._from_json import space_from_json
from dropsmith.search.listed import ListedSpace, Part, part
from dropsmith.search.sampler import Proposal, Sampler, State, Told
from dropsmith.search.space import Choice, Space, Tokens, Value

__all__ = [
    "Choice",
    "ListedSpace",
    "Part",
    "Proposal",
    "Sampler",
    "Space",
    "State",
    "Tokens",
    "Told",
    "Value",
    "part",
    "space_from_json",
]
