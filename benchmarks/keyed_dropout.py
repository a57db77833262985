"""Masks drawn from a key against `F.dropout`: forward and backward, eager and compiled.

What is asked of them: within 10 % in eager mode, at a site of 512 elements twice as slow at most,
and on large tensors no slower compiled. `site` is what a plan costs a model in all: hooks,
counters, keys. `kernel` draws from one key again and again, which no training does, so nothing is
asked of it on small tensors.
"""

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor, nn

from dropsmith.kernels.keyed_dropout import keyed_dropout
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.rng import Key

RATE = 0.1
SIZES = ((32, 128, 768), (20, 650), (8, 64))
SMALL = {(20, 650): {"site": 1.1}, (8, 64): {"site": 2.0}}
"""What is asked of small tensors, in eager mode."""


class Kernel(nn.Module):
    """The keyed mask alone, without the plan that would choose its key."""

    def forward(self, x: Tensor) -> Tensor:
        return keyed_dropout(x, (Key.of(0),), RATE)


class Plain(nn.Module):
    """Torch's own."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, RATE, self.training)


def at_a_site() -> nn.Module:
    """A module that does nothing, under a plan that drops what it returns."""
    model = nn.Identity()
    Plan(rule("root", Bernoulli(rate=RATE))).install(model)
    return model


def step(model: nn.Module, x: Tensor, grad: Tensor) -> Call:
    """One forward and backward."""

    def call() -> None:
        model(x).backward(grad)
        x.grad = None

    return call


def comparison(sizes: tuple[int, ...], threads: int, compiled: bool) -> Comparison:
    """Torch's dropout, the kernel and a site under a plan, on one tensor."""

    def ways(device: torch.device) -> dict[str, Call]:
        x, grad = torch.randn(2, *sizes, device=device).unbind()
        x = x.clone().requires_grad_()
        models = {"F.dropout": Plain(), "kernel": Kernel(), "site": at_a_site()}
        if compiled:
            torch.compiler.reset()
            for model in models.values():
                model.compile()
        return {name: step(model.train(), x, grad) for name, model in models.items()}

    most = 1.0 if compiled else 1.1
    targets = {"kernel": most, "site": most}
    if sizes in SMALL:
        targets = None if compiled else SMALL[sizes]
    return Comparison(
        name=f"{list(sizes)}, {'compiled' if compiled else 'eager'}",
        ways=ways,
        threads=threads,
        targets=targets,
        only=None if threads == 1 else "cpu",
    )


CASE = Case(
    name="keyed_dropout",
    tests=("tests/kernels", "tests/test_rng.py"),
    comparisons=tuple(
        comparison(sizes, threads, compiled)
        for compiled in (False, True)
        for sizes in SIZES
        for threads in (1, 2)
    ),
)

if __name__ == "__main__":
    main(CASE)
