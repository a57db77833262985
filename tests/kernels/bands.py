"""Weights of an adaptive softmax, and how large what is made with them becomes."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

SIZES = ((5, 8), (7, 4), (11, 2))
WORDS = sum(words for words, _ in SIZES)


def given(views, items=9, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)

    def drawn(*sizes):
        return torch.randn(sizes, generator=generator, dtype=dtype).requires_grad_()

    states = [drawn(views, items, width) for _, width in SIZES]
    tables, clusters = [drawn(*size) for size in SIZES], drawn(2, 8)
    labels = torch.randint(WORDS, (items,), generator=generator)
    labels[[1, 6]] = -100
    return states, tables, clusters, labels


class Largest(TorchDispatchMode):
    """How many elements the largest tensor had that any operation made."""

    def __init__(self):
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.most = max(self.most, one.numel())
        return made
