"""What must hold for several views to share one batch, and the words for where it does not."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.errors import ViewError


@contextmanager
def rows_first(model: nn.Module, rows: int) -> Iterator[None]:
    """Refuse a batch that holds time in dimension 0: stacked, one view would follow the other."""

    def check(module: nn.Module, args: Any) -> None:
        if args and isinstance(args[0], Tensor) and args[0].ndim == 3 and args[0].shape[1] % rows:
            raise ViewError(
                f"a {type(module).__name__} that takes [time, batch, unit] was given sizes "
                f"{tuple(args[0].shape)}, where the stacked batch has {rows} rows\n"
                '  views are stacked along dimension 0; for time-first batches use mode="looped"'
            )

    with ExitStack() as stack:
        for module in _time_first(model):
            stack.callback(module.register_forward_pre_hook(check).remove)
        yield


def check_batch_dim_unambiguous(
    model: nn.Module, output: Any, rows: int, own: int | None = None
) -> None:
    """Refuse a recurrent state of as many layers as rows, for it looks like a batch of rows.

    Args:
        model: what returned the output.
        output: of a pass over several views.
        rows: of all views together.
        own: of one view, where the output may also hold rows that all views share.
    """
    firsts = (rows,) if own is None else (rows, own)
    states = {_state(module) for module in model.modules() if isinstance(module, nn.RNNBase)}
    for leaf in pytree.tree_leaves(output):
        alike = isinstance(leaf, Tensor) and leaf.ndim == 3 and leaf.shape[1] == rows
        if alike and leaf.shape[0] in firsts and (leaf.shape[0], leaf.shape[2]) in states:
            raise ViewError(
                f"cannot tell which dimension of a result of sizes {tuple(leaf.shape)} counts "
                f'the {rows} rows of the stacked batch\n  use mode="looped"'
                + (", without a trunk" if own is not None else "")
            )


def _state(module: nn.RNNBase) -> tuple[int, int]:
    directions = 2 if module.bidirectional else 1
    return module.num_layers * directions, module.hidden_size


def _time_first(model: nn.Module) -> list[nn.Module]:
    kinds = (nn.RNNBase, nn.MultiheadAttention)
    return [m for m in model.modules() if isinstance(m, kinds) and not m.batch_first]


def warn_of_batch_norm(model: nn.Module, n: int) -> None:
    """Say that BatchNorm takes the views of a stacked batch for one batch."""
    norms = nn.modules.batchnorm._BatchNorm
    found = [name for name, m in model.named_modules() if isinstance(m, norms) and m.training]
    if found:
        warnings.warn(
            f"{found[0]!r} normalises over the batch: stacked, it sees {n} views at once "
            f"({len(found)} such modules)\n"
            '  mode="looped" gives each view statistics of its own',
            stacklevel=3,
        )


def drops_layers(model: nn.Module) -> bool:
    """Whether a model skips whole layers in training, as `layerdrop` of transformers has it."""
    return any(_layer_drop(module) > 0 for module in model.modules() if module.training)


def drops_branches(model: nn.Module) -> bool:
    """Whether it skips branches for a whole batch, as torchvision's `StochasticDepth` may."""
    return any(_branch_drop(module) > 0 for module in model.modules() if module.training)


def _layer_drop(module: nn.Module) -> float:
    own = vars(module)
    rates = (own.get("layerdrop"), getattr(own.get("config"), "layerdrop", None))
    return max(rate if isinstance(rate, float) else 0.0 for rate in rates)


def _branch_drop(module: nn.Module) -> float:
    own = vars(module)
    rate = own.get("p") if own.get("mode") == "batch" else None
    return rate if isinstance(rate, float) else 0.0
