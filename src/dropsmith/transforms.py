"""The function transforms of torch (`torch.func`) that a draw runs under.

Under `grad`, `vjp`, `jvp` and `vmap` a tensor is a wrapper without memory of its own, so draws are
plain tensor operations there. Noise under `vmap` follows its `randomness` as torch's own does:
`same` is one mask for all examples, `different` a mask for each of them, and `error` an error.
Torch shows the transforms that are active in private modules alone; this file is the only one
that reads them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import NoiseError

_functorch: Any = torch._C._functorch  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
transforms_active = torch._C._are_functorch_transforms_active  # pyright: ignore
"""Whether code runs under `torch.func.grad`, `vjp`, `jvp`, `vmap` or what is made of them."""


def transformed(x: Tensor) -> bool:
    """Whether a transform is active, or a tensor is one of gradients that autograd batches.

    The latter are those of `torch.autograd.grad(..., is_grads_batched=True)`.
    """
    return transforms_active() or _functorch.is_legacy_batchedtensor(x)


@contextmanager
def outside_transforms() -> Iterator[None]:
    """Run a block as if no transform were active: what it makes are plain tensors.

    For state that no transform may follow, such as counters, and for masks that are drawn again in
    a backward pass that `vmap` runs. Tensors that a transform has wrapped cannot be used inside.
    """
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

    with temporarily_clear_interpreter_stack():
        yield


def example_indices(device: torch.device) -> list[Tensor]:
    """The index of the running example, int32, for each `vmap` around it that wants other noise.

    Raise `NoiseError` under a `vmap` whose randomness is `error`, which is torch's default.
    """
    return [
        _index(level, count, device)
        for level, count, randomness in _vmaps()
        if _wants_different(randomness)
    ]


def _vmaps() -> list[tuple[int, int, Any]]:
    """Level, number of examples and randomness of each `vmap`, outermost first."""
    stack = _functorch.get_interpreter_stack() or []
    kind, pointer = _functorch.TransformType.Vmap, _functorch.CVmapInterpreterPtr
    # Read while the stack is held: a pointer does not keep alive what it points to.
    maps = [(layer.level(), pointer(layer)) for layer in stack if layer.key() == kind]
    return [(level, vmap.batchSize(), vmap.randomness()) for level, vmap in maps]


def _wants_different(randomness: Any) -> bool:
    kinds = _functorch.RandomnessType
    if randomness == kinds.Error:
        raise NoiseError(
            "noise under torch.vmap, whose randomness is 'error' unless you say otherwise\n"
            "  one mask for all examples: vmap(..., randomness='same')\n"
            "  a mask for each example: vmap(..., randomness='different')"
        )
    return randomness == kinds.Different


def _index(level: int, count: int, device: torch.device) -> Tensor:
    # Made outside: a tensor that an inner transform has wrapped cannot be given to an outer one.
    with outside_transforms():
        numbers = torch.arange(count, dtype=torch.int32, device=device)
    return _functorch._add_batch_dim(numbers, 0, level)
