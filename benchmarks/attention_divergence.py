"""Agreement of two views' attention in blocks against whole matrices, as texts grow longer.

`eager matrices` is the obvious form: both views' probabilities, as eager attention gives them, and
autograd. `blocked` is what `LRDrop` does beside fused attention. `fused attention` is what the
model itself spends on the same queries and keys in both views, as a measure of either.
"""

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor

from dropsmith.kernels.attention_divergence import (
    AttentionInputs,
    AttentionSettings,
    attention_divergence,
)
from dropsmith.kernels.attention_divergence.reference import attention_divergence as by_definition

ROWS, HEADS, UNITS = 1, 8, 64


def leaves(device: torch.device, time: int) -> list[Tensor]:
    """Queries and keys of both views."""
    sizes = (ROWS, HEADS, time, UNITS)
    return [torch.randn(sizes, device=device).requires_grad_() for _ in range(4)]


def agreement(agree: object, given: list[Tensor], time: int, distance: str) -> Call:
    """Forward and backward of the term, with the last tenth of the text padding."""
    real = (torch.arange(time, device=given[0].device) < time - time // 10).expand(ROWS, -1)
    mask, settings = real[:, None, None], AttentionSettings(distance=distance)  # pyright: ignore

    def call() -> None:
        first, second = (
            AttentionInputs(given[0], given[1], mask),
            AttentionInputs(given[2], given[3], mask),
        )
        found = agree(first, second, real, settings)  # pyright: ignore
        torch.autograd.grad(found.sum / found.item_count, given)

    return call


def attention(given: list[Tensor]) -> Call:
    """Forward and backward of the fused call in both views; keys stand for values."""

    def call() -> None:
        for query, key in (given[:2], given[2:]):
            out = F.scaled_dot_product_attention(query, key, key)
            torch.autograd.grad(out.sum(), (query, key))

    return call


def comparison(time: int, distance: str) -> Comparison:
    """All ways at one length."""

    def ways(device: torch.device) -> dict[str, Call]:
        given = leaves(device, time)
        return {
            "eager matrices": agreement(by_definition, given, time, distance),
            "blocked": agreement(attention_divergence, given, time, distance),
            "fused attention": attention(given),
        }

    return Comparison(name=f"{distance}, {HEADS} heads of {UNITS}, {time} words", ways=ways)


CASE = Case(
    name="attention_divergence",
    tests=("tests/kernels/test_attention_divergence.py",),
    comparisons=(
        *(comparison(time, "squared") for time in (512, 1024, 2048)),
        comparison(1024, "symmetric_kl"),
    ),
    rounds=3,
)

if __name__ == "__main__":
    main(CASE)
