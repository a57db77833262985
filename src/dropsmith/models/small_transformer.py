"""A Transformer encoder whose every step is a named module: a text classifier for CPU minutes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, Gaussian, StochasticDepth, WordDropout
from dropsmith.plans import Plan, rule

PAD = 0
"""The token that fills a row up and counts nowhere."""


class SmallTransformer(DescribedModel):
    """Scores of classes for a batch of padded texts: the mean over a text's words is classified.

    Layers normalise before they act (Xiong et al., 2020), so training needs no long warm-up. The
    two texts of a pair are read one by one by the same layers, and their means, the distance and
    the product of these are classified together (Conneau et al., 2017): without pretraining,
    attention from one to the other learns far less from a few thousand pairs.

    >>> model = SmallTransformer(words=50, classes=2, length=9)
    >>> model(torch.tensor([[3, 4, 0], [5, 0, 0]])).shape
    torch.Size([2, 2])

    Args:
        words: size of the vocabulary; token 0 is padding.
        classes: how many scores to return; 1 for a value.
        length: most tokens a text may have.
        width: units of a token.
        heads: how many ways each layer attends.
        layers: how many layers.
        pairs: whether it scores pairs of texts.
    """

    def __init__(
        self,
        *,
        words: int,
        classes: int,
        length: int,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        pairs: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.position = nn.Embedding(length, width)
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=width**-0.5)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.mean = _Mean()
        self.head = nn.Linear(4 * width if pairs else width, classes)

    def forward(self, tokens: Tensor, second: Tensor | None = None) -> Tensor:
        """Scores `[batch, classes]` of tokens `[batch, time]`; of a pair, the second as well."""
        return self.head(self.vector(tokens, second))

    def vector(self, tokens: Tensor, second: Tensor | None = None) -> Tensor:
        """The vector `[batch, width]` of each text; of a pair it is four times as wide."""
        if second is None:
            (mean,) = self._read(tokens)
            return mean
        first, further = self._read(tokens, second)
        return torch.cat((first, further, (first - further).abs(), first * further), dim=-1)

    def _read(self, *texts: Tensor) -> list[Tensor]:
        """The mean of each text: they stand side by side, and none attends to another."""
        places = [torch.arange(text.shape[1], device=text.device) for text in texts]
        real = [text != PAD for text in texts]
        x = self.embedding(torch.cat(texts, 1)) + self.position(torch.cat(places)).unsqueeze(0)
        mask = _attention_mask(real)
        for layer in self.layers:
            x = layer(x, mask)
        # Sizes are read from shapes: `len` would be a constant in an exported graph.
        parts = self.norm(x).split([text.shape[1] for text in texts], dim=1)
        return [
            self.mean(part, mask_of_text) for part, mask_of_text in zip(parts, real, strict=True)
        ]


def _attention_mask(real: Sequence[Tensor]) -> Tensor:
    """The words each word attends to, `[batch, 1, time or 1, time]`: the real ones of its text."""
    # A text without words attends to its padding: a row of nothing would be not-a-number.
    keys = torch.cat([mask | ~mask.any(1, keepdim=True) for mask in real], dim=1)[:, None, None]
    if len(real) == 1:
        return keys
    texts = [torch.full(mask.shape[1:], i, device=mask.device) for i, mask in enumerate(real)]
    text = torch.cat(texts)
    return keys & (text == text.unsqueeze(1))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attended = nn.Linear(width, width)
        self.before_feed = nn.LayerNorm(width)
        self.feed = nn.Linear(width, 4 * width)
        self.fed = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attended(self._attend(self.before_attention(x), mask))
        return x + self.fed(F.gelu(self.feed(self.before_feed(x))))

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        split = (*x.shape[:2], self.heads, -1)
        query, key, value = (
            part(x).view(split).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        heads = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return heads.transpose(1, 2).flatten(2)


class _Mean(nn.Module):
    # A module, so that what comes around the layers is seen where views part among them.
    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        weight = real.unsqueeze(-1).to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1).clamp(min=1)


_BRANCHES = ("layers.*.attended", "layers.*.fed")

TRANSFORMER_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule("embedding", Bernoulli(rate=rate)),
        *(rule(branch, Bernoulli(rate=rate)) for branch in _BRANCHES),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "locked": lambda rate: (
        rule("embedding", Bernoulli(rate=rate, shared="time")),
        *(rule(branch, Bernoulli(rate=rate, shared="time")) for branch in _BRANCHES),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "gaussian": lambda rate: (
        rule("embedding", Gaussian(rate=rate)),
        *(rule(branch, Gaussian(rate=rate)) for branch in _BRANCHES),
        rule("head.input", Gaussian(rate=rate)),
    ),
    "words": lambda rate: (rule("embedding", WordDropout(rate=rate)),),
    "path": lambda rate: tuple(rule(branch, StochasticDepth(rate=rate)) for branch in _BRANCHES),
}

TRANSFORMER_NOISES = tuple(TRANSFORMER_PLACES)


def transformer_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallTransformer`.

    >>> transformer_plan("path", 0.1).rules[0]
    rule('layers.*.attended', StochasticDepth(rate=0.1))

    Args:
        noise: `dropout`, `gaussian` or `locked` (one mask for all words of a text) on the
            embedding, both branches of every layer and the head's input; `words` (word types)
            on the embedding; `path` (whole branches, text by text).
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(TRANSFORMER_PLACES, noise, rate, "SmallTransformer")
