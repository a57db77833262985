"""Putting off a model's head: found, checked, and left alone where anything about it is unusual."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.kernels import lazy_logits

LEAST_CLASSES = 1024
"""A head of fewer classes is not put off: its scores are small, and one product is faster."""


def head_of(model: nn.Module) -> tuple[str, nn.Linear] | None:
    """The module whose scores may be a model's logits, by name, if it is a large plain projection.

    What Hugging Face calls output embeddings, or else the last `nn.Linear`. Nothing relies on the
    guess: scores that are put off are made as soon as anything but a loss looks at them.

    >>> words = nn.Sequential(nn.Embedding(5000, 8), nn.Linear(8, 5000))
    >>> head_of(words)
    ('1', Linear(in_features=8, out_features=5000, bias=True))
    """
    found = large_head(model)
    if found is None or _unfit(model, *found):
        return None
    return found[0] or "root", found[1]


def why_plain(model: nn.Module) -> str | None:
    """Why a model's large head cannot be put off, in a line; None where it can, or is small.

    >>> class Scaled(nn.Linear): ...
    >>> why_plain(nn.Sequential(nn.Embedding(5000, 8), Scaled(8, 5000)))
    "the head '1' of 5,000 classes is not fused with the loss: it is a Scaled, not torch's Linear"
    """
    found = large_head(model)
    why = None if found is None else _unfit(model, *found)
    if found is None or why is None:
        return None
    name, classes = found[0] or "root", found[1].out_features
    return f"the head {name!r} of {classes:,} classes is not fused with the loss: {why}"


def large_head(model: nn.Module) -> tuple[str, Any] | None:
    """The module that `head_of` takes for the head, whatever its type, by name, if it is large."""
    named = dict(model.named_modules())
    # Asked in every step, and of types: a module takes long to say what it has not.
    if any(getattr(type(module), "puts_off", False) for module in named.values()):
        return None
    found: Any = None
    if callable(ask := getattr(model, "get_output_embeddings", None)):
        found = ask()
    if found is None:
        found = next((m for m in reversed(named.values()) if isinstance(m, nn.Linear)), None)
    classes = getattr(found, "out_features", None)
    name = next((name for name, module in named.items() if module is found), None)
    if name is None or not isinstance(classes, int) or classes < LEAST_CLASSES:
        return None
    return name, found


def _unfit(model: nn.Module, name: str, head: Any) -> str | None:
    """How somebody else has a hand in how the head runs, or holds its weight elsewhere."""
    if type(head) is not nn.Linear:
        return f"it is {_kind(head)}, not torch's Linear"
    if head._backward_hooks or head._backward_pre_hooks:
        return "a hook waits for its gradient"
    if "forward" in head.__dict__:
        return "its forward was replaced"
    if not _whole(head):
        return "its weight is dropped, computed or kept elsewhere, and no plain parameter"
    return "FSDP holds its weight in parts" if _sharded(model, name) else None


def _kind(head: nn.Module) -> str:
    """What it is called, so that it cannot be taken for torch's: adapters have a Linear, too."""
    name = type(head).__name__
    return f"{type(head).__module__}.{name}" if name == nn.Linear.__name__ else f"a {name}"


def _whole(head: nn.Linear) -> bool:
    """Whether the weight is an ordinary parameter that is there: none that a plan has dropped,
    nor one that is computed, sharded or kept on another process."""
    weight = head.__dict__.get("weight", head.weight)
    strided = type(weight) is nn.Parameter and weight.layout == torch.strided
    return strided and weight.dtype.is_floating_point and not hasattr(weight, "ds_id")


def _sharded(model: nn.Module, name: str) -> bool:
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
    """Whether scores are those of a head that was put off, and nothing has looked at them."""
    return all(isinstance(one, lazy_logits.HeadScores) and one.not_materialised for one in scores)


def put_off(head: nn.Linear) -> None:
    """Let a head return `HeadScores` in place of scores, until `as_before`."""
    head.__dict__["forward"] = partial(_forward, head)


def as_before(head: nn.Linear) -> None:
    """Undo `put_off`."""
    head.__dict__.pop("forward", None)


def _forward(head: nn.Linear, hidden: Tensor) -> Tensor:
    # What is compiled has its own ways; and in a checkpointed block, as its hooks tell, the
    # forward that is run again must keep the same tensors as the first.
    plain = torch.compiler.is_compiling() or not torch.is_grad_enabled() or _kept_tensors_watched()
    if plain or not _whole(head) or type(hidden) is not Tensor:
        return nn.Linear.forward(head, hidden)
    return lazy_logits.HeadScores.of(hidden, lazy_logits.Head.of(head.weight, head.bias))


def _kept_tensors_watched() -> bool:
    ask = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)  # pyright: ignore
    return ask is not None and ask(True) is not None
