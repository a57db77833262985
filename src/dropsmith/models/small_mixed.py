"""A small Transformer over texts, joined with a row of numbers for each."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.models.noise_tables import NoiseTable, RuleMaker, plan_for_noise
from dropsmith.models.small_transformer import TRANSFORMER_PLACES, SmallTransformer
from dropsmith.patterns import Bernoulli, Gaussian
from dropsmith.plans import Plan, Rule, rule


class SmallMixed(SmallTransformer):
    """Scores of classes, or a value, for texts with a row of numbers beside each.

    The vector of a text, or of a pair, and a hidden layer over its numbers go through one further
    hidden layer together, so that what numbers mean may depend on the text.

    >>> model = SmallMixed(words=50, classes=2, length=9, features=4)
    >>> model(torch.tensor([[3, 4, 0], [5, 0, 0]]), features=torch.zeros(2, 4)).shape
    torch.Size([2, 2])

    Args:
        words, classes, length, width, heads, layers, pairs: as for `SmallTransformer`.
        features: numbers in a row.
    """

    def __init__(
        self,
        *,
        words: int,
        classes: int,
        length: int,
        features: int,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        pairs: bool = False,
    ) -> None:
        super().__init__(
            words=words,
            classes=classes,
            length=length,
            width=width,
            heads=heads,
            layers=layers,
            pairs=pairs,
        )
        self.numbers = nn.Linear(features, width)
        self.joint = nn.Linear(self.head.in_features + width, width)
        self.head = nn.Linear(width, classes)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - it is called by name
        self, tokens: Tensor, features: Tensor, second: Tensor | None = None
    ) -> Tensor:
        """Scores `[batch, classes]` of tokens `[batch, time]` and numbers `[batch, features]`."""
        numbers = F.relu(self.numbers(features))
        joined = torch.cat((self.vector(tokens, second), numbers), dim=-1)
        return self.head(F.relu(self.joint(joined)))


def _with_joint(noise: str, text_rules: RuleMaker) -> RuleMaker:
    """The rules of a noise in the Transformer, and on the input of the layer that joins."""
    pattern = {"dropout": Bernoulli, "locked": Bernoulli, "gaussian": Gaussian}.get(noise)

    def rules(rate: float) -> tuple[Rule, ...]:
        joint = () if pattern is None else (rule("joint.input", pattern(rate=rate)),)
        return (*text_rules(rate), *joint)

    return rules


_PLACES: NoiseTable = {
    noise: _with_joint(noise, rules) for noise, rules in TRANSFORMER_PLACES.items()
}

MIXED_NOISES = tuple(_PLACES)


def mixed_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallMixed`.

    >>> mixed_plan("dropout", 0.2).rules[-1]
    rule('joint.input', Bernoulli(rate=0.2))

    Args:
        noise: as for `transformer_plan`; `dropout`, `locked` and `gaussian` are also on the input
            of the layer that joins text and numbers.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallMixed")
