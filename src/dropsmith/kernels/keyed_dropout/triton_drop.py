"""Coin flips and product of one element in registers, in Triton: one read and one write.

This file imports Triton, so nothing imports it before there is a GPU to run on.
"""

import triton
import triton.language as tl


@triton.jit
def _mix(word):
    """`dropsmith.rng.mix` of unsigned words."""
    word ^= word >> 16
    word *= 0x7FEB352D
    word ^= word >> 15
    word *= 0x846CA68B
    return word ^ (word >> 16)


# Keys differ from call to call: a kernel that is made for some of them would be made again.
@triton.jit(do_not_specialize=("first", "second", "limit"))
def drop(
    source,
    out,
    count,
    first,
    second,
    limit,
    scale,
    channels,
    pixels,
    together: tl.constexpr,
    tile: tl.constexpr,
):
    """`count` elements under the mask of a key, whose words and limit are int32.

    Where channels lie `together`, behind the picture, elements still count in reading order.
    """
    at = tl.program_id(0) * tile + tl.arange(0, tile)
    inside = at < count
    index = at
    if together:
        row = at // (channels * pixels)
        rest = at % (channels * pixels)
        index = (row * channels + rest % channels) * pixels + rest // channels
    word = _mix(index.to(tl.uint32) ^ first.to(tl.uint32))
    word = _mix(word + second.to(tl.uint32))
    keep = (word >> 1).to(tl.int32) >= limit
    x = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, tl.where(keep, x * scale, 0.0).to(out.dtype.element_ty), mask=inside)
