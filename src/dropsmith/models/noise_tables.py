"""Tables of the sites for each kind of noise, and a default table for other models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.errors import TaskError, did_you_mean, excerpt
from dropsmith.patterns import Bernoulli, DropBlock, Gaussian, WordDropout
from dropsmith.plans import Plan, Rule, Selector, rule, select

RuleMaker = Callable[[float], tuple[Rule, ...]]
"""Makes the rules that place one kind of noise at a given rate."""

NoiseTable = Mapping[str, RuleMaker]
"""The places of each kind of noise."""


def plan_for_noise(places: NoiseTable, noise: str, rate: float, model: str) -> Plan:
    """The plan for one kind of noise; `TaskError` listing the kinds for an unknown one."""
    if noise not in places:
        raise TaskError(
            f"{model} has no place for noise {excerpt(noise)}\n  it takes: {', '.join(places)}"
            + did_you_mean(noise, places)
        )
    return Plan(*places[noise](rate))


_DROPOUT = select(kind="dropout")
_LINEAR = select("**.input", type="Linear")
_CONV = select(type="Conv2d", kind="output")
_EMBEDDING = select(type="Embedding", kind="output")


@dataclass(frozen=True, kw_only=True)
class AnyModel:
    """The places for noise in one kind of model.

    `dropout` and `gaussian` go where the model has dropout modules of its own, in their stead; or
    on the input of every linear layer where it has none. `spatial` and `blocks` go on what 2-d
    convolutions return, `words` and `locked` on embeddings.

    >>> found = AnyModel.of(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1), nn.Linear(4, 2)))
    >>> found.noises
    ('dropout', 'gaussian')
    >>> found.plan("dropout", 0.3).rules
    (rule(select('**', kind='dropout'), Bernoulli(rate=0.3)),)

    Args:
        name: the model's class, for messages.
        dropout, linear, conv, embedding: whether it has such modules.
    """

    name: str
    dropout: bool
    linear: bool
    conv: bool
    embedding: bool

    @classmethod
    def of(cls, model: nn.Module) -> "AnyModel":
        """The places in a model."""

        def has(*types: type[nn.Module]) -> bool:
            return any(isinstance(module, types) for module in model.modules())

        return cls(
            name=type(model).__name__,
            dropout=has(_DropoutNd),
            linear=has(nn.Linear),
            conv=has(nn.Conv2d),
            embedding=has(nn.Embedding),
        )

    @property
    def noises(self) -> tuple[str, ...]:
        """The kinds of noise that `plan` can place."""
        return tuple(self._places)

    def plan(self, noise: str, rate: float) -> Plan:
        """The plan of one kind of noise; `TaskError` where the model has no place for it."""
        return plan_for_noise(self._places, noise, rate, self.name)

    @property
    def _places(self) -> NoiseTable:
        plain = _DROPOUT if self.dropout else _LINEAR
        return (
            (_plain(plain) if self.dropout or self.linear else {})
            | (_IMAGE if self.conv else {})
            | (_TEXT if self.embedding else {})
        )


def _plain(target: Selector) -> dict[str, RuleMaker]:
    return {
        "dropout": lambda rate: (rule(target, Bernoulli(rate=rate)),),
        "gaussian": lambda rate: (rule(target, Gaussian(rate=rate)),),
    }


_IMAGE: dict[str, RuleMaker] = {
    "spatial": lambda rate: (rule(_CONV, Bernoulli(rate=rate, shared="height width")),),
    "blocks": lambda rate: (rule(_CONV, DropBlock(rate=rate, size=3)),),
}
_TEXT: dict[str, RuleMaker] = {
    "locked": lambda rate: (rule(_EMBEDDING, Bernoulli(rate=rate, shared="time")),),
    "words": lambda rate: (rule(select(kind="words"), WordDropout(rate=rate)),),
}
