"""Two hidden layers over a row of numbers: a model of tables that trains in seconds."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, DropConnect, Gaussian
from dropsmith.plans import Plan, rule


class SmallMLP(DescribedModel):
    """Scores of classes, or a value, for a batch of rows of numbers.

    >>> import torch
    >>> SmallMLP(features=7, outputs=3)(torch.zeros(5, 7)).shape
    torch.Size([5, 3])

    Args:
        features: numbers in a row.
        outputs: how many scores to return; 1 for a value.
        width: units of a hidden layer.
        layers: how many hidden layers.
    """

    def __init__(self, *, features: int, outputs: int, width: int = 128, layers: int = 2) -> None:
        super().__init__()
        widths = [features, *[width] * layers]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Scores `[batch, outputs]` of rows `[batch, features]`."""
        x = features
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


_HIDDEN = "layers.1.input"

_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule(_HIDDEN, Bernoulli(rate=rate)),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "gaussian": lambda rate: (
        rule(_HIDDEN, Gaussian(rate=rate)),
        rule("head.input", Gaussian(rate=rate)),
    ),
    "weights": lambda rate: (rule("layers.1.weight", DropConnect(rate=rate)),),
}

MLP_NOISES = tuple(_PLACES)


def mlp_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallMLP`.

    >>> mlp_plan("weights", 0.2).rules
    (rule('layers.1.weight', DropConnect(rate=0.2)),)

    Args:
        noise: `dropout` or `gaussian` on the hidden units; `weights` between the hidden layers.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallMLP")
