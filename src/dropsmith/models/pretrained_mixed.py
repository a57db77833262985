"""A pretrained encoder of texts, joined with a row of numbers for each."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.models.pretrained import PRETRAINED_PLACES, load_text_encoder, without_noise
from dropsmith.patterns import Bernoulli, Gaussian
from dropsmith.plans import Plan, rule

WIDTH = 64
"""Units of the text's vector, and of the hidden layers beside and after it."""


class PretrainedMixed(nn.Module):
    """Scores of classes, or a value, for texts with a row of numbers beside each.

    What the encoder's own head returns of a text, `WIDTH` numbers, and a hidden layer over its
    numbers go through one further hidden layer together. Without noise of its own.

    Args:
        checkpoint: a name on the Hub such as `bert-base-cased`, or a folder with its files.
        classes: how many scores to return; 1 for a value.
        features: numbers in a row.

    Raises:
        TaskError: the Hub cannot be reached or has no such model.
        MissingExtra: transformers is not installed.
    """

    def __init__(self, checkpoint: str, *, classes: int, features: int) -> None:
        super().__init__()
        self._join(load_text_encoder(checkpoint, WIDTH), classes, features)

    @classmethod
    def around(cls, net: Any, *, classes: int, features: int) -> "PretrainedMixed":
        """The same around a model of transformers that is there already."""
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model._join(net, classes, features)
        return model

    def _join(self, net: Any, classes: int, features: int) -> None:
        self.net = without_noise(net)
        self.numbers = nn.Linear(features, WIDTH)
        self.joint = nn.Linear(2 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, classes)

    @property
    def arguments(self) -> dict[str, int]:
        """The numbers of classes and features, by which `around` makes it again."""
        return {"classes": self.head.out_features, "features": self.numbers.in_features}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        features: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Scores `[batch, classes]` of what the tokeniser makes and of `[batch, features]`."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        text = self.net(input_ids=input_ids, attention_mask=attention_mask, **segments).logits
        joined = torch.cat((F.relu(text), F.relu(self.numbers(features))), dim=-1)
        return self.head(F.relu(self.joint(joined)))


_JOINT = "joint.input"

_PLACES: NoiseTable = {
    **PRETRAINED_PLACES,
    "dropout": lambda rate: (
        *PRETRAINED_PLACES["dropout"](rate),
        rule(_JOINT, Bernoulli(rate=rate)),
    ),
    "gaussian": lambda rate: (
        *PRETRAINED_PLACES["gaussian"](rate),
        rule(_JOINT, Gaussian(rate=rate)),
    ),
}

PRETRAINED_MIXED_NOISES = tuple(_PLACES)


def pretrained_mixed_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `PretrainedMixed`.

    >>> pretrained_mixed_plan("gaussian", 0.1).rules[-1]
    rule('joint.input', Gaussian(rate=0.1))

    Args:
        noise: as for `pretrained_plan`; `dropout` and `gaussian` are also on the input of the layer
            that joins text and numbers.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "a pretrained encoder with numbers beside it")
