"""Two views that share their lower layers against two views that share none, and against one."""

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from benchmarks._models import Encoder
from torch import Tensor, nn

from dropsmith.passes import Mode, Views, views

LAYERS = 6


def step(model: nn.Module, ids: Tensor, n: int, trunk: str | None, mode: Mode = "auto") -> Call:
    """Forward and backward of `n` views."""

    def call() -> None:
        _mean(views(model, ids, n, trunk=trunk, mode=mode)).backward()
        model.zero_grad(set_to_none=True)

    return call


def _mean(found: Views) -> Tensor:
    return torch.stack([logits.square().mean() for logits in found.logits]).mean()


def comparison(noisy: int) -> Comparison:
    """Noise in the upper `noisy` layers only, so that all below them can be shared."""

    def ways(device: torch.device) -> dict[str, Call]:
        model = Encoder(layers=LAYERS, noisy=noisy).to(device).train()
        ids = torch.randint(8000, (8, 64), device=device)
        trunk = f"layers.{LAYERS - noisy}"
        return {
            "two views, stacked": step(model, ids, 2, None),
            "two views, looped": step(model, ids, 2, None, "looped"),
            "two views, shared trunk": step(model, ids, 2, trunk),
            "one view": step(model, ids, 1, None),
        }

    return Comparison(name=f"{LAYERS} layers, noise in the top {noisy}", ways=ways, threads=2)


CASE = Case(
    name="shared_trunk",
    tests=("tests/passes",),
    comparisons=tuple(comparison(noisy) for noisy in (1, 2, 4)),
)

if __name__ == "__main__":
    main(CASE)
