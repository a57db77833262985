"""What a caller's model, batch and generators were before a call, to compare with afterwards."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)


@dataclass(frozen=True)
class Snapshot:
    """Everything of a caller's that a call may not change, each part by a name."""

    parts: dict[str, Any]

    @classmethod
    def of(cls, model: nn.Module, batch: Any) -> "Snapshot":
        """What there is now."""
        return cls(
            {
                "torch's generator": torch.get_rng_state(),
                "NumPy's generator": _numpy_state(),
                "Python's generator": random.getstate(),
                "batch": pytree.tree_map(_copied, dict(batch)),
                "modes": {name: m.training for name, m in model.named_modules()},
                "hooks": {name: _hooks(m) for name, m in model.named_modules()},
                "attributes": {name: set(vars(m)) for name, m in model.named_modules()},
                "names": list(model.state_dict()),
                "weights and buffers": {k: v.clone() for k, v in _tensors(model).items()},
            }
        )

    def differences(self, other: "Snapshot") -> list[str]:
        """Names of the parts that differ."""
        return [name for name, value in self.parts.items() if not _alike(value, other.parts[name])]


def _alike(a: Any, b: Any) -> bool:
    """Whether they are the same; of tensors by name, those that both have."""
    if isinstance(a, dict) and all(isinstance(value, Tensor) for value in a.values()):
        return all(same(a[name], b[name]) for name in a.keys() & b.keys())
    return same(a, b)


def same(a: Any, b: Any) -> bool:
    """Whether two structures are equal, their tensors bit for bit."""
    left, right = pytree.tree_flatten(a), pytree.tree_flatten(b)
    if left[1] != right[1]:
        return False
    return all(_equal(x, y) for x, y in zip(left[0], right[0], strict=True))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    return type(a) is type(b) and (a == b or a is b)


def _numpy_state() -> list[int]:
    _, words, place, *_ = np.random.get_state()
    return [*words.tolist(), place]


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _hooks(module: nn.Module) -> list[int]:
    return [len(getattr(module, name)) for name in _HOOKS]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())
