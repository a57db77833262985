"""One time step of the LSTM in Triton: the recurrent product and the update of the state.

A program works on a tile of rows of the batch and of units with all four gates, so that a step is
one launch and its scores stay in registers.
"""

import triton
import triton.language as tl

from dropsmith.kernels.lstm.triton_tiles import (
    apply_mask,
    blend,
    load_gates,
    plus_product,
    rows_and_units,
    store_gates,
    tanh,
)


@triton.jit
def _scores(
    hidden,
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
    """The recurrent part of the four gates' scores.

    `mask_count` is 4 where each gate has a mask of its own, else 1.
    """
    enter = tl.zeros((tile_rows, tile_units), tl.float32)
    forget = tl.zeros((tile_rows, tile_units), tl.float32)
    new = tl.zeros((tile_rows, tile_units), tl.float32)
    leave = tl.zeros((tile_rows, tile_units), tl.float32)
    matrix = tl.cast(unit, tl.int64) * unit
    for first in range(0, unit, depth):
        inner = first + tl.arange(0, depth)
        across, down = inner[None, :], inner[:, None]
        inside = (rows < batch) & (across < unit)
        fits = (down < unit) & (units < unit)
        state = tl.load(hidden + (rows * unit + across), mask=inside, other=0.0)
        mask_index = rows * mask_count * unit + across
        part = apply_mask(state, mask, mask_index, inside)
        tile = weight + (units * unit + down)
        w = tl.load(tile, mask=fits, other=0.0)
        enter = plus_product(enter, part, w, precision, widen)
        if mask_count == 4:
            part = apply_mask(state, mask, mask_index + unit, inside)
        w = tl.load(tile + matrix, mask=fits, other=0.0)
        forget = plus_product(forget, part, w, precision, widen)
        if mask_count == 4:
            part = apply_mask(state, mask, mask_index + 2 * unit, inside)
        w = tl.load(tile + 2 * matrix, mask=fits, other=0.0)
        new = plus_product(new, part, w, precision, widen)
        if mask_count == 4:
            part = apply_mask(state, mask, mask_index + 3 * unit, inside)
        w = tl.load(tile + 3 * matrix, mask=fits, other=0.0)
        leave = plus_product(leave, part, w, precision, widen)
    return enter, forget, new, leave


@triton.jit(do_not_specialize=["step"])
def forward_step(
    gates,
    acts,
    hiddens,
    cells,
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
    mask_count: tl.constexpr,
    precision: tl.constexpr,
    widen: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_units: tl.constexpr,
    depth: tl.constexpr,
):
    """The states at `step + 1` from those at `step`, and the activations of the gates.

    Scores and activations are `[time, batch, 4, unit]`, states `[time + 1, batch, unit]`, the
    mask `[time or 1, batch, mask_count, unit]` and shares `[time or 1, batch, unit]`, with their
    stride in time, which is 0 for a mask that is held over time.
    """
    now = tl.cast(step, tl.int64)
    rows, units = rows_and_units(tile_rows, tile_units)
    valid = (rows < batch) & (units < unit)
    before = now * batch * unit
    if mask is not None:
        mask = mask + now * mask_time
    enter, forget, new, leave = _scores(
        hiddens + before,
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
    first = rows * 4 * unit + units
    to_enter, to_forget, to_new, to_leave = load_gates(gates + 4 * before, first, unit, valid)
    enter, forget = tl.sigmoid(enter + to_enter), tl.sigmoid(forget + to_forget)
    new, leave = tanh(new + to_new), tl.sigmoid(leave + to_leave)
    store_gates(acts + 4 * before, first, unit, valid, enter, forget, new, leave)

    place = rows * unit + units
    old_hidden = tl.load(hiddens + before + place, mask=valid, other=0.0).to(tl.float32)
    old_cell = tl.load(cells + before + place, mask=valid, other=0.0)
    proposal = forget * old_cell + enter * new
    hidden = leave * tanh(proposal)
    hidden = blend(old_hidden, hidden, hidden_share, now * hidden_time + place, valid)
    cell = blend(old_cell, proposal, cell_share, now * cell_time + place, valid)
    after = before + batch * unit
    tl.store(hiddens + after + place, hidden, mask=valid)
    tl.store(cells + after + place, cell, mask=valid)
