"""Interception of `flex_attention`, and the operator in plain operations to drop probabilities.

torch compiles this attention even in eager code, where a torch function mode does not see it as one
call. While a mode of dropsmith is active, torch calls the operator itself, which a mode sees.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Self, final

import torch
from torch import Tensor
from torch._C import _len_torch_function_stack
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from dropsmith.errors import SiteError

FLEX: Callable[..., Any] = torch.ops.higher_order.flex_attention
"""The operator inside `torch.nn.attention.flex_attention.flex_attention`."""


_CALLER_ARGUMENTS = 7
"""The arguments of the operator from `flex_attention`; a compiler adds the others."""


FLEX_MODULE = "torch.nn.attention.flex_attention"
"""The module of the function; while it is not imported, no model calls the function."""


_SWITCH = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"


@final
class _Switch:
    """The switch of torch, and whether dropsmith has turned it on."""

    is_ours = False


def update_flex_visibility() -> None:
    """Make `flex_attention` visible exactly while a mode of dropsmith is active."""
    module = sys.modules.get(FLEX_MODULE)
    if module is None or torch.compiler.is_compiling():
        return
    has_flex_mode = any(isinstance(mode, SeesFlex) for mode in _get_current_function_mode_stack())
    if has_flex_mode and not getattr(module, _SWITCH):
        setattr(module, _SWITCH, True)
        _Switch.is_ours = True
    elif _Switch.is_ours and not has_flex_mode:
        setattr(module, _SWITCH, False)
        _Switch.is_ours = False


class SeesFlex(TorchFunctionMode):
    """A torch function mode that sees `flex_attention`."""

    def __enter__(self) -> Self:
        mode = super().__enter__()
        update_flex_visibility()
        return mode

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        update_flex_visibility()


def run_flex(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run the operator as torch does without modes."""
    trains = torch.is_grad_enabled() and any(x.requires_grad for x in args[:3])
    if not trains or _len_torch_function_stack():
        return FLEX(*args, **kwargs)
    from torch._higher_order_ops.utils import setup_compilation_env

    # Outside the compiler the operator has no reliable backward pass.
    with setup_compilation_env() as backend:
        return torch.compile(_operator, backend=backend, fullgraph=True)(
            *args[:_CALLER_ARGUMENTS], **kwargs
        )


def _operator(*args: Any, **kwargs: Any) -> Any:
    return FLEX(*args, **kwargs)


def attend_flex(arguments: Mapping[str, Any], drop: Callable[[Tensor], Tensor]) -> Any:
    """Run the operator with `drop` applied to the probabilities.

    Returns:
        The states `[row, head, time, unit]`, and as in the operator the logarithm of the sum of the
        scores' exponentials and the maximum of the scores, `[row, head, time]`, both in base 2.
    """
    with _without_autocast(arguments) as inputs:
        query, value = inputs["query"], inputs["value"]
        scores = _scores(inputs)
        weights = drop(_softmax(scores).to(query.dtype))
        repeats = query.size(1) // value.size(1)
        states = weights @ value.repeat_interleave(repeats, 1)
    return states, scores.logsumexp(-1) / math.log(2), scores.amax(-1) / math.log(2)


def flex_probabilities(arguments: Mapping[str, Any]) -> Tensor:
    """The probabilities `[row, head, time, time]`; zeros for queries with all keys masked."""
    with _without_autocast(arguments) as inputs:
        return _softmax(_scores(inputs)).to(inputs["query"].dtype)


def _softmax(scores: Tensor) -> Tensor:
    nowhere = (scores == -math.inf).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(nowhere, 0.0), -1).masked_fill(nowhere, 0.0)


def _scores(arguments: Mapping[str, Any]) -> Tensor:
    """The scores after the score function, and minus infinity where the mask function is False."""
    from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex

    query, key, block_mask = arguments["query"], arguments["key"], arguments["block_mask"]
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    key = key.repeat_interleave(query.size(1) // key.size(1), 1)
    scores = (query.to(wide) @ key.to(wide).transpose(-2, -1)) * arguments["scale"]
    places = [torch.arange(size, device=scores.device) for size in scores.shape]
    # Score functions index tables by position, which vmap supports only like this.
    with TransformGetItemToIndex():
        score_mod = _at_all_places(arguments["score_mod"], 1)
        scores = score_mod(scores, *places, *arguments["score_mod_other_buffers"])
        mask_mod = _at_all_places(block_mask[-1], 0)
        mask = mask_mod(*places, *arguments["mask_mod_other_buffers"])
    mask = mask.expand_as(scores)
    _check_blocks(block_mask, mask)
    return scores.masked_fill(~mask, -math.inf).to(wide)


def _at_all_places(function: Callable[..., Tensor], leading: int) -> Callable[..., Tensor]:
    """Apply a function of one row, head, query and key to all of them.

    Args:
        function: of `leading` scores, the four positions and further tensors.
        leading: 1 for a score function and 0 for a mask function.
    """

    def apply(*arguments: Tensor) -> Tensor:
        buffers = arguments[leading + 4 :]

        def at(*places: Tensor) -> Tensor:
            return function(*places, *buffers)

        batch_function: Callable[..., Tensor] = at
        for axis in (3, 2, 1, 0):
            dims = tuple(0 if place == axis else None for place in range(4))
            batch_function = torch.vmap(batch_function, in_dims=(0,) * leading + dims)
        return batch_function(*arguments[: leading + 4])

    return apply


def _check_blocks(block_mask: tuple[Any, ...], mask: Tensor) -> None:
    """Raise `SiteError` if the blocks leave out pairs that the mask function keeps."""
    _, _, count, index, full_count, full_index, *_, rows, columns, _ = block_mask
    if torch.compiler.is_compiling():
        return
    blocks = _block_table(count, index)
    if full_count is not None:
        blocks = blocks | _block_table(full_count, full_index)
    query, key = (torch.arange(size, device=mask.device) for size in mask.shape[-2:])
    coverage = blocks[..., query // rows, :][..., key // columns]
    if bool((mask & ~coverage).any()):
        raise SiteError(
            "flex_attention was given a block mask that leaves out blocks its mask_mod lets "
            "through, so what it looks at depends on how torch runs it\n"
            "  make the mask with create_block_mask(mask_mod, ...), which agrees with its mask_mod"
        )


def _block_table(count: Tensor, index: Tensor) -> Tensor:
    """True for the blocks of keys of each block of queries, `[row, head, blocks, blocks]`."""
    blocks = index.shape[-1]
    places = torch.arange(blocks, device=index.device)
    first = (places < count.unsqueeze(-1)).to(torch.int32)
    marks = torch.zeros_like(index, dtype=torch.int32)
    return marks.scatter_add(-1, index.long() % blocks, first) > 0


@contextmanager
def _without_autocast(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments in the type that autocast gives them, with autocast off."""
    device = arguments["query"].device.type
    inputs = dict(arguments)
    if not torch.is_autocast_enabled(device):
        with nullcontext():
            yield inputs
        return
    dtype = torch.get_autocast_dtype(device)
    inputs |= {name: inputs[name].to(dtype) for name in ("query", "key", "value")}
    with torch.autocast(device, enabled=False):
        yield inputs
