"""Looking up a kind of noise in a model's own table of places."""

from collections.abc import Callable, Mapping

from dropsmith.errors import TaskError, did_you_mean
from dropsmith.plans import Plan, Rule

Place = Callable[[float], tuple[Rule, ...]]
"""Makes the rules that place one kind of noise at a given rate."""

Places = Mapping[str, Place]
"""The places of each kind of noise."""


def placed(places: Places, noise: str, rate: float, model: str) -> Plan:
    """The plan for one kind of noise; `TaskError` listing the kinds for an unknown one."""
    if noise not in places:
        raise TaskError(
            f"{model} has no place for noise {noise!r}\n  it takes: {', '.join(places)}"
            + did_you_mean(noise, places)
        )
    return Plan(*places[noise](rate))
