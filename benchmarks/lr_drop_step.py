"""A whole training step of LR-Drop as texts grow longer: its memory grows with them, not squared.

`plain, twice the rows` is the same passes without a term. `eager matrices` is the obvious form: the
model writes its attention out, returns it and its states (`output_attentions`,
`output_hidden_states`), and the terms are taken of these. `LR-Drop` leaves attention fused, and
with a share of the queries it estimates the term of attention from them. With a shared trunk the
lower of the two layers runs once, and only the upper agrees.

The model is a small BERT with dropout in its states and none in attention, for torch's fused
attention has none on a CPU; texts are without padding.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

import dropsmith as ds
from dropsmith.objectives.distances import symmetric_kl

ROWS, LAYERS, WIDTH, HEADS, WORDS = 2, 2, 128, 2, 1000
LONGEST = 2048
FRACTION = 1 / 16
SOME_QUERIES = "LR-Drop, a 16th of the queries"
UPPER = f"bert.encoder.layer.{LAYERS // 2}"
COEFFICIENTS = {"hidden": 1.0, "attention": 100.0, "output": 1.0}


def bert(attention: str = "sdpa") -> BertForSequenceClassification:
    """Always the same weights."""
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=LONGEST,
        attention_probs_dropout_prob=0.0,
        attn_implementation=attention,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForSequenceClassification(config).train()


def by_matrices(model: torch.nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """LR-Drop's loss from what the model returns of two stacked views."""
    shown = {"output_attentions": True, "output_hidden_states": True}
    out = model(input_ids=torch.cat([ids] * 2), labels=torch.cat([labels] * 2), **shown)
    apart = {
        "hidden": _squared(out.hidden_states[1:]),
        "attention": _squared(out.attentions),
        "output": symmetric_kl(*out.logits.chunk(2)).mean(),
    }
    return out.loss + sum(COEFFICIENTS[name] * value for name, value in apart.items()) / 2


def _squared(layers: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([F.mse_loss(*layer.chunk(2)) for layer in layers]).mean()


def step(loss: Callable[[], Tensor], model: torch.nn.Module) -> Call:
    """Forward and backward; the optimiser's part is the same for all and left out."""

    def call() -> None:
        loss().backward()
        model.zero_grad(set_to_none=True)

    return call


def comparison(time: int) -> Comparison:
    """All ways at one length."""

    def ways(device: torch.device) -> dict[str, Call]:
        ids = torch.randint(WORDS, (ROWS, time), device=device)
        labels = torch.randint(2, (ROWS,), device=device)
        both = {"input_ids": torch.cat([ids] * 2), "labels": torch.cat([labels] * 2)}
        kinds = ("sdpa", "eager", "sdpa", "sdpa", "sdpa")
        plain, eager, whole, some, shared = (bert(kind).to(device) for kind in kinds)
        objective = ds.LRDrop(**COEFFICIENTS, hidden_at="block")
        ds.consistent(whole, objective)
        ds.consistent(some, replace(objective, attention_fraction=FRACTION))
        ds.consistent(shared, objective, trunk=UPPER)
        return {
            "plain, twice the rows": step(lambda: plain(**both).loss, plain),
            "eager matrices": step(lambda: by_matrices(eager, ids, labels), eager),
            "LR-Drop": step(lambda: whole(input_ids=ids, labels=labels).loss, whole),
            SOME_QUERIES: step(lambda: some(input_ids=ids, labels=labels).loss, some),
            "LR-Drop, shared trunk": step(
                lambda: shared(input_ids=ids, labels=labels).loss, shared
            ),
        }

    targets = {SOME_QUERIES: 1.15}
    return Comparison(name=f"{ROWS} texts of {time} words", ways=ways, targets=targets)


CASE = Case(
    name="lr_drop_step",
    tests=("tests/benchmarks/test_lr_drop_step.py", "tests/objectives/test_lr_drop.py"),
    comparisons=tuple(comparison(time) for time in (512, 1024, LONGEST)),
    rounds=5,
)

if __name__ == "__main__":
    main(CASE)
