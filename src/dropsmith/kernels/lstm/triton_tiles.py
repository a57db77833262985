"""Gates, masks and update shares of a tile of rows and units, for the LSTM's Triton kernels.

This file and those of the steps import Triton, so they are imported only when a kernel is used.
Arguments of kernels have no type hints but that of constants: Triton would evaluate them.
"""

import triton
import triton.language as tl


@triton.jit
def rows_and_units(tile_rows: tl.constexpr, tile_units: tl.constexpr):
    """The tile of this program, `[row, 1]` and `[1, unit]`.

    Offsets within a step have 32 bits, which halves their registers; those of steps and of the
    gates' matrices have 64.
    """
    rows = tl.program_id(1) * tile_rows + tl.arange(0, tile_rows)
    units = tl.program_id(0) * tile_units + tl.arange(0, tile_units)
    return rows[:, None], units[None, :]


@triton.jit
def load_gates(gates, first, unit, valid):
    """The four gates of each unit, of which the first is at `first`."""
    return (
        tl.load(gates + first, mask=valid, other=0.0).to(tl.float32),
        tl.load(gates + first + unit, mask=valid, other=0.0).to(tl.float32),
        tl.load(gates + first + 2 * unit, mask=valid, other=0.0).to(tl.float32),
        tl.load(gates + first + 3 * unit, mask=valid, other=0.0).to(tl.float32),
    )


@triton.jit
def store_gates(gates, first, unit, valid, enter, forget, new, leave):
    """Store what `load_gates` loads."""
    tl.store(gates + first, enter, mask=valid)
    tl.store(gates + first + unit, forget, mask=valid)
    tl.store(gates + first + 2 * unit, new, mask=valid)
    tl.store(gates + first + 3 * unit, leave, mask=valid)


@triton.jit
def apply_mask(x, mask, places, valid):
    """`x` times the mask, in the type of `x`; None is no mask."""
    if mask is not None:
        factor = tl.load(mask + places, mask=valid, other=0.0).to(tl.float32)
        x = (x.to(tl.float32) * factor).to(x.dtype)
    return x


@triton.jit
def plus_product(total, a, b, precision: tl.constexpr, widen: tl.constexpr):
    """`total + a @ b`, summed in float32."""
    # Triton's interpreter multiplies the integers that bfloat16 is stored in.
    if widen:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, total, input_precision=precision)


@triton.jit
def blend(before, after, share, places, valid):
    """The state when only a share of an update is taken; exact for shares of 0 and 1."""
    if share is not None:
        fraction = tl.load(share + places, mask=valid, other=0.0).to(tl.float32)
        after = fraction * after + (1 - fraction) * before
    return after


@triton.jit
def split_gradient(grad, share, places, valid):
    """The gradients of the two states that `blend` mixes: the new one and the one before."""
    stays = tl.zeros_like(grad)
    if share is not None:
        fraction = tl.load(share + places, mask=valid, other=0.0).to(tl.float32)
        stays = (1 - fraction) * grad
        grad = fraction * grad
    return grad, stays


@triton.jit
def tanh(x):
    """tanh from the sigmoid: Triton has no tanh that also runs in its interpreter."""
    return 2 * tl.sigmoid(2 * x) - 1
