"""An autoregressive Transformer over the tokens of a space, read like a language model.

Choice i sees the values taken for the choices before it. Its scores are over its own values only:
each choice has its rows in one table, and values that a choice does not have are masked.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.pattern_search.spaces.space import Choice


class Policy(nn.Module):
    """The probability of each value of each choice, given the values of the choices before it.

    An untrained policy takes every value of a choice with the same chance.

    >>> policy = Policy((Choice("a", (1, 2)), Choice("b", (1, 2, 3, 4))), width=8, layers=1)
    >>> policy.log_probabilities(torch.tensor([[0, 0], [1, 3]])).exp().tolist()
    [0.125, 0.125]

    Args:
        choices: of the space.
        width: of the residual stream; a multiple of `heads`.
        layers: how many blocks of attention and feed-forward part.
        heads: of each attention.
        temperature: scores are divided by it; above 1 draws are more even.
    """

    allowed: Tensor

    def __init__(
        self,
        choices: tuple[Choice, ...],
        *,
        width: int = 32,
        layers: int = 2,
        heads: int = 4,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.counts = counts = tuple(len(choice.values) for choice in choices)
        self.max_count, self.temperature = max(counts), temperature
        self.start = nn.Parameter(torch.randn(width) * 0.1)
        self.taken = nn.Parameter(torch.randn(len(counts), self.max_count, width))
        self.place = nn.Parameter(torch.randn(len(counts), width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # Zero: the first proposals are even draws, as random search's are.
        self.values = nn.Parameter(torch.zeros(len(counts), self.max_count, width))
        self.bias = nn.Parameter(torch.zeros(len(counts), self.max_count))
        index = torch.arange(self.max_count)
        self.register_buffer("allowed", index < torch.tensor(counts)[:, None], persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Log-probabilities `[batch, choice, value]` given the tokens before each choice.

        Args:
            tokens: int64 `[batch, choice]`; the last is never looked at. Of a prefix, the scores
                of one choice more come back, up to all choices.
        """
        prefix = tokens[:, : len(self.place) - 1]
        count = prefix.shape[1] + 1
        index = torch.arange(count - 1)
        values = self.taken[index, prefix]
        start = self.start.expand(len(tokens), 1, -1)
        x = torch.cat((start, values), dim=1) + self.place[:count]
        for block in self.blocks:
            x = block(x)
        scores = torch.einsum("bcw,cvw->bcv", self.norm(x), self.values[:count])
        scores = (scores + self.bias[:count]) / self.temperature
        return scores.masked_fill(~self.allowed[:count], float("-inf")).log_softmax(-1)

    def log_probabilities(self, tokens: Tensor) -> Tensor:
        """The log-probability `[batch]` of whole sequences `[batch, choice]`."""
        return self(tokens).gather(-1, tokens[..., None]).squeeze(-1).sum(-1)


class _Block(nn.Module):
    """Causal attention and a feed-forward part, each after its norm and around it a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """From `[batch, choice, width]` to the same."""
        parts = self.attend(self.first(x)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        attention = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mixed(attention.transpose(1, 2).flatten(2))
        return x + self.feed(self.second(x))
