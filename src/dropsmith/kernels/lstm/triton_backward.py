"""One time step of the LSTM's gradient in Triton: what the next step gives back, and this one's.

A program owns a tile of rows of the batch and of units with all four of their gates, so that of
a step only the gradients of its scores are stored.
"""

import triton
import triton.language as tl

from dropsmith.kernels.lstm.triton_tiles import (
    load_gates,
    masked,
    parted,
    plus_product,
    rows_and_units,
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
    own: tl.constexpr,
    precision: tl.constexpr,
    widen: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_units: tl.constexpr,
    depth: tl.constexpr,
):
    """The gradient of the hidden state from one step's gradients of scores."""
    whole = tl.zeros((tile_rows, tile_units), tl.float32)
    matrix = tl.cast(unit, tl.int64) * unit
    there = (rows < batch) & (units < unit)
    for gate in range(4):
        found = tl.zeros((tile_rows, tile_units), tl.float32)
        for first in range(0, unit, depth):
            seen = first + tl.arange(0, depth)
            across, down = seen[None, :], seen[:, None]
            inside = (rows < batch) & (across < unit)
            fits = (down < unit) & (units < unit)
            part = tl.load(grads + ((rows * 4 + gate) * unit + across), mask=inside, other=0.0)
            w = tl.load(weight + gate * matrix + (down * unit + units), mask=fits, other=0.0)
            found = plus_product(found, part, w, precision, widen)
        kept = rows * own + (gate if own == 4 else 0)
        whole += masked(found, mask, kept * unit + units, there)
    return whole


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
    has_own: tl.constexpr,
    own: tl.constexpr,
    precision: tl.constexpr,
    widen: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_units: tl.constexpr,
    depth: tl.constexpr,
):
    """The gradients of the scores of `step` from those of `step + 1`; sizes as in forward.

    On their way back the gradients of hidden state and cell are held in `d_hidden` and `d_cell`,
    `[batch, unit]` in float32. The last step comes first and has nothing to take through a product
    (`has_product`); the call after the first step, whose `step` is -1, does nothing but that
    (`has_own` is false).
    """
    now = tl.cast(step, tl.int64)
    rows, units = rows_and_units(tile_rows, tile_units)
    there = (rows < batch) & (units < unit)
    place = rows * unit + units
    grad = tl.load(d_hidden + place, mask=there, other=0.0)
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
            own,
            precision,
            widen,
            tile_rows,
            tile_units,
            depth,
        )
    if has_own:
        here = now * batch * unit
        grad += tl.load(d_states + here + place, mask=there, other=0.0).to(tl.float32)
        d_made = tl.load(d_cell + place, mask=there, other=0.0)
        grad, stays = parted(grad, hidden_share, now * hidden_time + place, there)
        d_made, cell_stays = parted(d_made, cell_share, now * cell_time + place, there)
        first = rows * 4 * unit + units
        enter, forget, new, leave = load_gates(acts + 4 * here, first, unit, there)
        old = tl.load(cells + here + place, mask=there, other=0.0)
        bent = tanh(forget * old + enter * new)
        d_made += grad * leave * (1 - bent * bent)
        d_enter, d_forget = d_made * new * enter * (1 - enter), d_made * old * forget * (1 - forget)
        d_new, d_leave = d_made * enter * (1 - new * new), grad * bent * leave * (1 - leave)
        store_gates(grads + 4 * here, first, unit, there, d_enter, d_forget, d_new, d_leave)
        tl.store(d_cell + place, d_made * forget + cell_stays, mask=there)
        grad = stays
    tl.store(d_hidden + place, grad, mask=there)
