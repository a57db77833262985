"""A large head of a model whose logits are lazy, so that a loss can be fused with it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.kernels import lazy_logits

LEAST_CLASSES = 1024
"""A head with fewer classes is not fused: its scores are small, and one product is faster."""


def head_of(model: nn.Module) -> tuple[str, nn.Linear] | None:
    """The module whose scores may be a model's logits, by name, if it is a large plain projection.

    What Hugging Face calls output embeddings, or else the last `nn.Linear`. Nothing relies on the
    guess: scores that are put off are made as soon as anything but a loss looks at them.

    >>> words = nn.Sequential(nn.Embedding(5000, 8), nn.Linear(8, 5000))
    >>> head_of(words)
    ('1', Linear(in_features=8, out_features=5000, bias=True))
    """
    candidate = large_head(model)
    if candidate is None or _unfit(model, *candidate):
        return None
    name, head = candidate
    return name or "root", head


def why_plain(model: nn.Module) -> str | None:
    """The reason why a model's large head cannot be put off; None where it can, or is small.

    >>> class Scaled(nn.Linear): ...
    >>> why_plain(nn.Sequential(nn.Embedding(5000, 8), Scaled(8, 5000)))
    "the head '1' of 5,000 classes is not fused with the loss: it is a Scaled, not torch's Linear"
    """
    candidate = large_head(model)
    why = None if candidate is None else _unfit(model, *candidate)
    if candidate is None or why is None:
        return None
    name, head = candidate
    name, classes = name or "root", head.out_features
    return f"the head {name!r} of {classes:,} classes is not fused with the loss: {why}"


def large_head(model: nn.Module) -> tuple[str, Any] | None:
    """The module that `head_of` takes for the head, whatever its type, by name, if it is large."""
    modules = dict(model.named_modules())
    # Asked in every step, so of types: a module's own lookup is slow for what it does not have.
    if any(getattr(type(module), "puts_off", False) for module in modules.values()):
        return None
    head: Any = None
    if callable(ask := getattr(model, "get_output_embeddings", None)):
        head = ask()
    if head is None:
        head = next((m for m in reversed(modules.values()) if isinstance(m, nn.Linear)), None)
    classes = getattr(head, "out_features", None)
    name = next((name for name, module in modules.items() if module is head), None)
    if name is None or not isinstance(classes, int) or classes < LEAST_CLASSES:
        return None
    return name, head


def _unfit(model: nn.Module, name: str, head: Any) -> str | None:
    """The reason why a head cannot be put off: others change how it runs, or hold its weight."""
    if type(head) is not nn.Linear:
        return f"it is {_kind(head)}, not torch's Linear"
    if head._backward_hooks or head._backward_pre_hooks:
        return "a hook waits for its gradient"
    if "forward" in head.__dict__:
        return "its forward was replaced"
    if not _has_plain_weight(head):
        return "its weight is dropped, computed or kept elsewhere, and no plain parameter"
    return "FSDP holds its weight in parts" if _is_sharded(model, name) else None


def _kind(head: nn.Module) -> str:
    """The name of its type, told from torch's own: adapters have a Linear, too."""
    name = type(head).__name__
    return f"{type(head).__module__}.{name}" if name == nn.Linear.__name__ else f"a {name}"


def _has_plain_weight(head: nn.Linear) -> bool:
    """Say whether the weight is an ordinary parameter that is there.

    It is none where a plan drops it, or where it is computed, sharded or kept on another process.
    """
    weight = head.__dict__.get("weight", head.weight)
    is_plain = type(weight) is nn.Parameter and weight.layout == torch.strided
    return is_plain and weight.dtype.is_floating_point and not hasattr(weight, "ds_id")


def _is_sharded(model: nn.Module, name: str) -> bool:
    fsdp = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)
    parts = name.split(".") if name else []
    above = [model.get_submodule(".".join(parts[:depth])) for depth in range(len(parts) + 1)]
    return fsdp is not None and any(isinstance(module, fsdp) for module in above)


@contextmanager
def putting_off(head: nn.Linear | None) -> Iterator[None]:
    """A context in which a head returns `HeadScores`; with None, one in which nothing changes."""
    if head is None:
        yield
        return
    put_off(head)
    try:
        yield
    finally:
        as_before(head)


def put_off_still(scores: Sequence[Tensor]) -> bool:
    """Say whether scores come from a head that was put off, and nothing has looked at them yet."""
    return all(isinstance(x, lazy_logits.HeadScores) and x.is_pending for x in scores)


def put_off(head: nn.Linear) -> None:
    """Let a head return `lazy_logits.HeadScores` in place of scores, until `as_before`."""
    head.__dict__["forward"] = partial(_forward, head)


def as_before(head: nn.Linear) -> None:
    """Undo `put_off`."""
    head.__dict__.pop("forward", None)


def _forward(head: nn.Linear, hidden: Tensor) -> Tensor:
    # Compiled code traces plain scores. In a checkpointed block, which the hooks on saved tensors
    # give away, the forward that is run again must save the same tensors as the first.
    plain = (
        torch.compiler.is_compiling() or not torch.is_grad_enabled() or _saves_tensors_by_hooks()
    )
    if plain or not _has_plain_weight(head) or type(hidden) is not Tensor:
        return nn.Linear.forward(head, hidden)
    return lazy_logits.HeadScores.of(hidden, lazy_logits.Head.of(head.weight, head.bias))


def _saves_tensors_by_hooks() -> bool:
    ask = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)  # pyright: ignore
    return ask is not None and ask(True) is not None
