"""A causal Transformer whose words are in bands: Baevski & Auli's (2019) language model."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.models.adaptive import AdaptiveEmbedding, AdaptiveHead
from dropsmith.models.described import DescribedModel
from dropsmith.patterns import Bernoulli, TorchDropout
from dropsmith.plans import Plan, rule, select


class AdaptiveLM(DescribedModel):
    """Scores of the next word at every place of a batch of windows, each read by itself.

    The scores are log-probabilities. Layers normalise before each part, and nothing does after the
    last of them. Its modules, for plans: `embedded` (words and places), in each layer those of
    `nn.TransformerEncoderLayer`, and `head`, see `AdaptiveHead`.

    >>> net = AdaptiveLM(words=50, width=8, heads=2, layers=1, inner=16, cutoffs=(10, 20), factor=2)
    >>> net(torch.zeros(3, 7, dtype=torch.long)).shape
    torch.Size([3, 7, 50])

    Args:
        words: size of the vocabulary, numbered from the commonest to the rarest.
        width: units of a word; even.
        heads: how many ways each layer attends.
        layers: how many layers.
        inner: units inside of each feed-forward part.
        cutoffs: the number of the first word of each band after the first.
        factor: how many times narrower the vectors of each next band are.

    Raises:
        TaskError: the cutoffs do not fit the vocabulary or the width, or the width not the heads.
    """

    def __init__(
        self,
        *,
        words: int,
        width: int,
        heads: int,
        layers: int,
        inner: int,
        cutoffs: Sequence[int],
        factor: int = 4,
    ) -> None:
        super().__init__()
        _check(width, heads)
        self.embedding = AdaptiveEmbedding(words=words, width=width, cutoffs=cutoffs, factor=factor)
        self.embedded = nn.Identity()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, inner, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.head = AdaptiveHead(self.embedding)

    def forward(self, tokens: Tensor) -> Tensor:
        """Log-probabilities `[batch, time, words]` after each token of `[batch, time]`."""
        x = self.embedding(tokens)
        time, width = x.shape[-2:]
        places = waves(torch.arange(time, device=x.device), width, x)
        x = self.embedded(math.sqrt(width) * x + places)
        future = torch.ones(time, time, dtype=torch.bool, device=x.device).triu(1)
        for layer in self.layers:
            x = layer(x, src_mask=future, is_causal=True)
        return self.head(x)


def _check(width: int, heads: int) -> None:
    if width % 2 or width % heads:
        raise TaskError(
            f"a width of {width} does not serve: places take an even one, and {heads} heads one "
            "that they divide"
        )


def adaptive_plan(*, branches: float, inner: float, attention: float, head: float) -> Plan:
    """The plan of `AdaptiveLM` that fairseq's `transformer_lm_wiki103` has.

    >>> adaptive_plan(branches=0.3, inner=0.1, attention=0.1, head=0.2).rules[0]
    rule('embedded', Bernoulli(rate=0.3))

    Args:
        branches: rate of what enters the layers and of both branches of each.
        inner: rate of the units inside of each feed-forward part.
        attention: rate of attention probabilities, by torch's own draw.
        head: rate of what the head is given, and again of what each rarer band is scored from.
    """
    return Plan(
        *(
            rule(place, Bernoulli(rate=branches))
            for place in ("embedded", "layers.*.dropout1", "layers.*.dropout2")
        ),
        rule("layers.*.dropout", Bernoulli(rate=inner)),
        rule(select(kind="attention"), TorchDropout(rate=attention)),
        rule("head.input head.narrowed.*", Bernoulli(rate=head)),
    )


_LONGEST = 10_000


def waves(places: Tensor, width: int, like: Tensor) -> Tensor:
    """The sinusoids of each place, sines first and then cosines, `[places, width]`.

    >>> waves(torch.tensor([0]), 4, torch.zeros(1))
    tensor([[0., 0., 1., 1.]])

    Args:
        places: integers, `[places]`.
        width: how many there are of each; even.
        like: a tensor of the type they shall have.
    """
    # Half precision has no numbers for places beyond a few hundred.
    exact = torch.promote_types(like.dtype, torch.float32)
    exponents = torch.arange(0, width, 2, device=places.device, dtype=exact)
    angle = places.to(exact).unsqueeze(1) * _LONGEST ** (-exponents / width)
    return torch.cat([angle.sin(), angle.cos()], dim=1).to(like.dtype)
