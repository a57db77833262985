"""Gates, masks and shares of a tile of rows and units, for all of the LSTM's Triton kernels.

This file and those of the steps import Triton, so nothing imports them before the kernel is asked
for. Its kernels take no hints on their arguments but that of its constants: it would evaluate them.
"""

import triton
import triton.language as tl


@triton.jit
def rows_and_units(tile_rows: tl.constexpr, tile_units: tl.constexpr):
    """The tile of this program, `[row, 1]` and `[1, unit]`.

    Offsets within a step are of 32 bits, which halves the registers they take; those of steps and
    of gates' matrices have 64.
    """
    rows = tl.program_id(1) * tile_rows + tl.arange(0, tile_rows)
    units = tl.program_id(0) * tile_units + tl.arange(0, tile_units)
    return rows[:, None], units[None, :]


@triton.jit
def load_gates(gates, first, unit, valid):
    """All four of each unit, whose first stands at `first`."""
    return (
        tl.load(gates + first, mask=valid, other=0.0).to(tl.float32),
        tl.load(gates + first + unit, mask=valid, other=0.0).to(tl.float32),
        tl.load(gates + first + 2 * unit, mask=valid, other=0.0).to(tl.float32),
        tl.load(gates + first + 3 * unit, mask=valid, other=0.0).to(tl.float32),
    )


@triton.jit
def store_gates(gates, first, unit, valid, enter, forget, new, leave):
    """The opposite of `load_gates`."""
    tl.store(gates + first, enter, mask=valid)
    tl.store(gates + first + unit, forget, mask=valid)
    tl.store(gates + first + 2 * unit, new, mask=valid)
    tl.store(gates + first + 3 * unit, leave, mask=valid)


@triton.jit
def apply_mask(x, mask, places, valid):
    """`x` under the mask, in the type of `x`; there is no mask where it is None."""
    if mask is not None:
        factor = tl.load(mask + places, mask=valid, other=0.0).to(tl.float32)
        x = (x.to(tl.float32) * factor).to(x.dtype)
    return x


@triton.jit
def plus_product(total, a, b, precision: tl.constexpr, widen: tl.constexpr):
    """`total + a @ b`, summed in float32."""
    # Triton's interpreter multiplies bfloat16 as the integers that hold them.
    if widen:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, total, input_precision=precision)


@triton.jit
def blend(before, after, share, places, valid):
    """The state after a step of which only a share is taken; exact for shares of 0 and 1."""
    if share is not None:
        fraction = tl.load(share + places, mask=valid, other=0.0).to(tl.float32)
        after = fraction * after + (1 - fraction) * before
    return after


@triton.jit
def split_gradient(grad, share, places, valid):
    """The gradient of the new state that `blend` takes, and of the one before."""
    stays = tl.zeros_like(grad)
    if share is not None:
        fraction = tl.load(share + places, mask=valid, other=0.0).to(tl.float32)
        stays = (1 - fraction) * grad
        grad = fraction * grad
    return grad, stays


@triton.jit
def tanh(x):
    """Through the sigmoid: Triton has no tanh that also runs in its interpreter."""
    return 2 * tl.sigmoid(2 * x) - 1
