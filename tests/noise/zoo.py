"""Small models, and for each kind of site one whose output is the mask it drew."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.patterns import Bernoulli, DropConnect, Gaussian, Pattern, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import Rule, rule

ROWS, TIME, WIDTH = 4, 6, 8


def seeded(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


def share(values: Tensor) -> tuple[float, int]:
    """The share of zeros, and of how many."""
    return (values == 0).double().mean().item(), values.numel()


def near(rate: float, found: tuple[float, int]) -> bool:
    """Whether a share of independent flips is within five standard errors of a rate."""
    share, count = found
    return abs(share - rate) < 5 * (rate * (1 - rate) / count) ** 0.5


def mlp(rate: float = 0.5) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 16), nn.Dropout(rate), nn.GELU(), nn.Linear(16, 3))


class Functional(nn.Module):
    """Functional dropout on its input, at the rate it declares."""

    def __init__(self, rate: float = 0.5, times: int = 1) -> None:
        super().__init__()
        self.rate, self.times = rate, times

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([F.dropout(x, self.rate, self.training) for _ in range(self.times)], 1)


class Loose(nn.Module):
    """Calls what it is given, so that the call is its own."""

    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


class Fused(nn.Module):
    """Fused attention that looks everywhere alike and returns its probabilities."""

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        rows, time = x.shape[:2]
        alike = x.new_zeros(rows, 2, time, 4)
        see = torch.eye(time, dtype=x.dtype).expand(rows, 2, time, time)
        rate = self.rate if self.training else 0.0
        return F.scaled_dot_product_attention(alike, alike, see, dropout_p=rate)


class Heads(nn.Module):
    """`nn.MultiheadAttention` that returns its probabilities, after dropout."""

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.MultiheadAttention(WIDTH, 2, dropout=rate, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, average_attn_weights=False)[1]


def copying_rnn(rate: float = 0.5) -> nn.RNN:
    """Two layers that pass ones on, with dropout between them."""
    rnn = nn.RNN(WIDTH, WIDTH, 2, nonlinearity="relu", bias=False, batch_first=True, dropout=rate)
    for name, weight in rnn.named_parameters():
        nn.init.eye_(weight) if "ih" in name else nn.init.zeros_(weight)
    return rnn


@dataclass(frozen=True)
class Mirror:
    """A model whose output shows what one kind of site drops."""

    model: nn.Module
    site: str
    pattern: Pattern
    batch: Any

    def plan(self, **settings: Any) -> Plan:
        return Plan(rule(self.site, self.pattern, **settings))

    def masks(self, batch: Any = None) -> Tensor:
        output = self.model(self.batch if batch is None else batch)
        return (output[0] if isinstance(output, tuple) else output).detach()


def of_ones(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    return model


ONES = torch.ones(ROWS, TIME, WIDTH)
FLIPS = Bernoulli(rate=0.5)


def mirrors() -> dict[str, Mirror]:
    """One for each kind of site, each new."""
    ids = torch.arange(ROWS * TIME).view(ROWS, TIME) % 7
    weight = of_ones(nn.Linear(TIME, WIDTH, bias=False))
    words = of_ones(nn.Embedding(9, WIDTH))
    between = copying_rnn()
    return {
        "output": Mirror(nn.Sequential(nn.Identity()), "0", FLIPS, ONES),
        "input": Mirror(nn.Sequential(nn.Identity()), "0.input", FLIPS, ONES),
        "root input": Mirror(nn.Identity(), "root.input", FLIPS, ONES),
        "gaussian": Mirror(nn.Sequential(nn.Identity()), "0", Gaussian(rate=0.3), ONES),
        "dropout": Mirror(nn.Sequential(nn.Dropout(0.2)), "0", FLIPS, ONES),
        "weight": Mirror(
            nn.Sequential(weight),
            "0.weight",
            DropConnect(rate=0.5),
            torch.eye(TIME).expand(ROWS, -1, -1),
        ),
        "words": Mirror(nn.Sequential(words), "0", WordDropout(rate=0.5), ids),
        "functional": Mirror(nn.Sequential(Functional()), "0.dropout()", FLIPS, ONES),
        "attention": Mirror(nn.Sequential(Fused()), "0.attention()", FLIPS, ONES),
        "heads": Mirror(Heads(), "attention.attention()", FLIPS, seeded(ROWS, TIME, WIDTH)),
        "between": Mirror(nn.Sequential(between), "0.between()", FLIPS, ONES),
    }


KINDS = tuple(mirrors())


def tiny_bert(attention: str = "sdpa", *, layers: int = 2, rate: float = 0.0) -> Any:
    """A BERT in train mode, the same each time, all of its own dropout at `rate`."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        attn_implementation=attention,
        hidden_dropout_prob=rate,
        attention_probs_dropout_prob=rate,
    )
    return BertModel(config).train()


def tiny_gpt2(attention: str = "sdpa", *, layers: int = 2, rate: float = 0.0) -> Any:
    """A GPT-2 in train mode, the same each time, all of its own dropout at `rate`."""
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=40,
        n_embd=WIDTH,
        n_layer=layers,
        n_head=2,
        n_positions=16,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
        attn_implementation=attention,
        embd_pdrop=rate,
        attn_pdrop=rate,
        resid_pdrop=rate,
    )
    return GPT2Model(config).train()


def sentences() -> dict[str, Tensor]:
    """A batch for either, its second row padded."""
    ids = torch.arange(ROWS * TIME).view(ROWS, TIME) % 40
    mask = torch.ones(ROWS, TIME, dtype=torch.long)
    mask[1, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def everywhere(rate: float = 0.3) -> tuple[Rule, ...]:
    """Noise of ours on the hidden states, words, weights and attention of either."""
    return (
        rule("**.dense", Bernoulli(rate=rate)),
        rule("**.mlp", Bernoulli(rate=rate)),
        rule("**.c_attn.weight", DropConnect(rate=rate)),
        rule("**.value.weight", DropConnect(rate=rate)),
        rule("**.word_embeddings", WordDropout(rate=rate)),
        rule("wte", WordDropout(rate=rate)),
        rule("**.attention()", Bernoulli(rate=rate)),
    )


def fitting(model: nn.Module) -> Plan:
    """Those of `everywhere` that the model has a site for."""
    from dropsmith.noise.static_sites import possible_calls, static_sites

    known = static_sites(model)
    known += possible_calls(model, known)
    return Plan(*(one for one in everywhere() if any(one.fits(site) for site in known)))
