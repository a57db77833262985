"""One time step of the LSTM's gradient in Triton: through the next step, then through this one.

A program works on a tile of rows of the batch and of units with all four gates, so that only the
gradients of a step's scores are stored.
"""

import triton
import triton.language as tl

from dropsmith.kernels.lstm.triton_tiles import (
    apply_mask,
    load_gates,
    plus_product,
    rows_and_units,
    split_gradient,
    store_gates,
    tanh,
)


@triton.jit
def _through_product(
    grads,
    weight,
    mask,
    rows,
    units,
    batch,
    unit,
    mask_count: tl.constexpr,
    precision: tl.constexpr,
    widen: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_units: tl.constexpr,
    depth: tl.constexpr,
):
    """The gradient of the hidden state from the gradients of a step's scores."""
    total = tl.zeros((tile_rows, tile_units), tl.float32)
    matrix = tl.cast(unit, tl.int64) * unit
    valid = (rows < batch) & (units < unit)
    for gate in range(4):
        product = tl.zeros((tile_rows, tile_units), tl.float32)
        for first in range(0, unit, depth):
            inner = first + tl.arange(0, depth)
            across, down = inner[None, :], inner[:, None]
            inside = (rows < batch) & (across < unit)
            fits = (down < unit) & (units < unit)
            part = tl.load(grads + ((rows * 4 + gate) * unit + across), mask=inside, other=0.0)
            w = tl.load(weight + gate * matrix + (down * unit + units), mask=fits, other=0.0)
            product = plus_product(product, part, w, precision, widen)
        mask_rows = rows * mask_count + (gate if mask_count == 4 else 0)
        total += apply_mask(product, mask, mask_rows * unit + units, valid)
    return total


@triton.jit(do_not_specialize=["step"])
def backward_step(
    acts,
    cells,
    d_states,
    grads,
    d_hidden,
    d_cell,
    weight,
    mask,
    mask_time,
    hidden_share,
    hidden_time,
    cell_share,
    cell_time,
    step,
    batch,
    unit,
    has_product: tl.constexpr,
    has_step: tl.constexpr,
    mask_count: tl.constexpr,
    precision: tl.constexpr,
    widen: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_units: tl.constexpr,
    depth: tl.constexpr,
):
    """The gradients of the scores of `step` from those of `step + 1`; sizes as in forward.

    The gradients of hidden state and cell are in `d_hidden` and `d_cell`, `[batch, unit]` in
    float32. The last time step is computed first, without a product (`has_product` is false); the
    final call, whose `step` is -1, computes only the product (`has_step` is false).
    """
    now = tl.cast(step, tl.int64)
    rows, units = rows_and_units(tile_rows, tile_units)
    valid = (rows < batch) & (units < unit)
    place = rows * unit + units
    grad = tl.load(d_hidden + place, mask=valid, other=0.0)
    if has_product:
        if mask is not None:
            mask = mask + (now + 1) * mask_time
        after = grads + (now + 1) * batch * 4 * unit
        grad += _through_product(
            after,
            weight,
            mask,
            rows,
            units,
            batch,
            unit,
            mask_count,
            precision,
            widen,
            tile_rows,
            tile_units,
            depth,
        )
    if has_step:
        here = now * batch * unit
        grad += tl.load(d_states + here + place, mask=valid, other=0.0).to(tl.float32)
        d_proposal = tl.load(d_cell + place, mask=valid, other=0.0)
        grad, stays = split_gradient(grad, hidden_share, now * hidden_time + place, valid)
        d_proposal, cell_stays = split_gradient(
            d_proposal, cell_share, now * cell_time + place, valid
        )
        first = rows * 4 * unit + units
        enter, forget, new, leave = load_gates(acts + 4 * here, first, unit, valid)
        old_cell = tl.load(cells + here + place, mask=valid, other=0.0)
        tanh_cell = tanh(forget * old_cell + enter * new)
        d_proposal += grad * leave * (1 - tanh_cell * tanh_cell)
        d_enter, d_forget = (
            d_proposal * new * enter * (1 - enter),
            d_proposal * old_cell * forget * (1 - forget),
        )
        d_new, d_leave = (
            d_proposal * enter * (1 - new * new),
            grad * tanh_cell * leave * (1 - leave),
        )
        store_gates(grads + 4 * here, first, unit, valid, d_enter, d_forget, d_new, d_leave)
        tl.store(d_cell + place, d_proposal * forget + cell_stays, mask=valid)
        grad = stays
    tl.store(d_hidden + place, grad, mask=valid)
