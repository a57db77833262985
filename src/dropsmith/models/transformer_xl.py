"""Transformer-XL (Dai et al., 2019): attention that includes the previous segment.

Each layer attends to what entered it in the last segments, without gradient, and knows places by
their distance alone: a segment that is read after another has the scores it has in one long text.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.models.adaptive_lm import waves as waves_of
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.models.small_lstm import Scores
from dropsmith.patterns import Bernoulli, Gaussian, Pattern, StochasticDepth, WordDropout
from dropsmith.plans import Plan, Rule, rule


class TransformerXL(DescribedModel):
    """Scores of the next word at every place of a batch of segments.

    Its modules, for plans: `embedding`; in each layer `query`, `key`, `value`, `attended` (the
    output projection) and `attention_shortcut` beside it, then `feed`, `fed` and `feed_shortcut`;
    then `head`, whose weights are the embedding's. `key` and `value` are of the memory, too.

    >>> net = TransformerXL(words=50, width=8, heads=2, layers=2, feed=16, memory=6)
    >>> first = net(torch.zeros(3, 4, dtype=torch.long))
    >>> second = net(torch.zeros(3, 4, dtype=torch.long), first.state)
    >>> second.logits.shape, [tuple(memory.shape) for memory in second.state]
    (torch.Size([3, 4, 50]), [(3, 6, 8), (3, 6, 8)])

    Args:
        words: size of the vocabulary.
        width: units of a word.
        heads: how many ways each layer attends.
        layers: how many layers.
        feed: units inside of each feed-forward part.
        memory: how many words before a segment each layer attends to.
        norm_first: normalise before each part (Xiong et al., 2020), which trains without a long
            warm-up, rather than after each sum, as in the paper.

    Raises:
        TaskError: the width is not even or not divided by the heads, or the memory is negative.
    """

    def __init__(
        self,
        *,
        words: int,
        width: int,
        heads: int,
        layers: int,
        feed: int,
        memory: int,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        _check(width, heads, memory)
        self.memory = memory
        self.embedding = nn.Embedding(words, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.layers = nn.ModuleList(_Layer(width, heads, feed, norm_first) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if norm_first else nn.Identity()
        self.head = nn.Linear(width, words)
        self.head.weight = self.embedding.weight
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor, state: tuple[Tensor, ...] | None = None) -> Scores:
        """Scores `[batch, time, words]` after each token of `[batch, time]`, and the memory then.

        Args:
            tokens: word numbers.
            state: what an earlier segment returned: what entered each layer, `[batch, memory,
                unit]`, never longer than `memory`, without gradient; nothing where None.
        """
        width = self.embedding.embedding_dim
        x = self.embedding(tokens) * math.sqrt(width)
        before = state if state is not None else (x[:, :0].detach(),) * len(self.layers)
        places = before[0].shape[1] + x.shape[1]
        waves = waves_of(torch.arange(places - 1, -1, -1, device=x.device), width, x)
        after = []
        for layer, memory in zip(self.layers, before, strict=True):
            context = torch.cat([memory, x], dim=1)
            after.append(context[:, max(context.shape[1] - self.memory, 0) :].detach())
            x = layer(x, context, waves)
        return Scores(self.head(self.norm(x)), tuple(after))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, feed: int, norm_first: bool) -> None:
        super().__init__()
        self.heads, self.norm_first = heads, norm_first
        self.query, self.key, self.value, self.attended = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        # No module: what it returns has no batch axis, and a plan for all modules would meet it.
        self.position = nn.Parameter(torch.empty(width, width))
        nn.init.kaiming_uniform_(self.position, a=math.sqrt(5))
        self.content_bias = nn.Parameter(torch.zeros(heads, 1, width // heads))
        self.position_bias = nn.Parameter(torch.zeros(heads, 1, width // heads))
        self.attention_norm, self.feed_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention_shortcut, self.feed_shortcut = nn.Identity(), nn.Identity()
        self.feed, self.fed = nn.Linear(width, feed), nn.Linear(feed, width)

    def forward(self, x: Tensor, context: Tensor, waves: Tensor) -> Tensor:
        """The layer's output for `x`, and `context`, which is memory and `x`."""
        first = self.attention_norm(context) if self.norm_first else context
        x = self.attention_shortcut(x) + self.attended(self._attend(first, x.shape[1], waves))
        x = x if self.norm_first else self.attention_norm(x)
        first = self.feed_norm(x) if self.norm_first else x
        x = self.feed_shortcut(x) + self.fed(F.relu(self.feed(first)))
        return x if self.norm_first else self.feed_norm(x)

    def _attend(self, context: Tensor, time: int, waves: Tensor) -> Tensor:
        """The heads' findings, side by side, for the last `time` places of what is seen."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(context[:, -time:]), self.key(context), self.value(context))
        )
        distances = F.linear(waves, self.position).unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        bias = shift_to_places((query + self.position_bias) @ distances) / math.sqrt(key.shape[-1])
        bias = bias.masked_fill(_future(time, context), -math.inf)
        heads = F.scaled_dot_product_attention(
            query + self.content_bias, key, value, attn_mask=bias
        )
        return heads.transpose(1, 2).flatten(2)


def shift_to_places(scores: Tensor) -> Tensor:
    """Scores by distance as scores by place: the paper's appendix B.

    Of `[…, time, places]`, whose column c belongs to the distance places - 1 - c, row i of the
    result has in column j the score of the distance from place j to where the row stands, which
    is places - time + i. Columns to its right hold no meaning.

    >>> shift_to_places(torch.tensor([[2.0, 1.0, 0.0], [20.0, 10.0, 0.5]]))
    tensor([[ 1.0000,  0.0000,  0.0000],
            [20.0000, 10.0000,  0.5000]])
    """
    *rest, time, places = scores.shape
    wide = F.pad(scores, (1, 0))
    return wide.view(*rest, places + 1, time)[..., 1:, :].reshape(*rest, time, places)


def _future(time: int, context: Tensor) -> Tensor:
    """The places that each of the last `time` places must not see, `[time, places]`."""
    place = torch.arange(context.shape[1], device=context.device)
    return place > place[-time:].unsqueeze(1)


def _check(width: int, heads: int, memory: int) -> None:
    if width % 2 or width % heads:
        raise TaskError(
            f"a width of {width} does not serve: distances take an even one, and {heads} heads one "
            "that they divide"
        )
    if memory < 0:
        raise TaskError(f"memory is a number of words, 0 or more; got {memory}")


_BRANCHES = ("layers.*.attended", "layers.*.fed")


def _everywhere(pattern: Pattern) -> tuple[Rule, ...]:
    return tuple(rule(place, pattern) for place in ("embedding", *_BRANCHES, "head.input"))


_PLACES: NoiseTable = {
    "dropout": lambda rate: _everywhere(Bernoulli(rate=rate)),
    "locked": lambda rate: _everywhere(Bernoulli(rate=rate, shared="time")),
    "gaussian": lambda rate: _everywhere(Gaussian(rate=rate)),
    "words": lambda rate: (rule("embedding", WordDropout(rate=rate)),),
    "path": lambda rate: tuple(rule(branch, StochasticDepth(rate=rate)) for branch in _BRANCHES),
}

XL_NOISES = tuple(_PLACES)


def xl_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `TransformerXL`.

    >>> xl_plan("path", 0.1).rules[0]
    rule('layers.*.attended', StochasticDepth(rate=0.1))

    Args:
        noise: `dropout`, `gaussian` or `locked` (one mask for all words of a segment) on the
            embedding, both branches of every layer and the head's input; `words` (word types) on
            the embedding; `path` (whole branches, segment by segment).
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "TransformerXL")
