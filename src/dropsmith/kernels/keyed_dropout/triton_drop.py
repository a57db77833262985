"""Mask and product of each element in registers, in Triton: one read and one write.

This file imports Triton, so it is imported only on a machine with a GPU.
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


@triton.jit
def _bits(index, first, second):
    """`dropsmith.rng.bits` of an unsigned index."""
    return _mix(_mix(index ^ first.to(tl.uint32)) + second.to(tl.uint32))


@triton.jit
def _index(at, channels, pixels, together: tl.constexpr):
    """The number of each element, with the last dimension fastest."""
    index = at
    if together:
        row = at // (channels * pixels)
        rest = at % (channels * pixels)
        index = (row * channels + rest % channels) * pixels + rest // channels
    return index.to(tl.uint32)


# Keys differ between calls: a kernel specialised to some would be compiled again.
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
    """Drop `count` elements by the mask of a key, whose words and limit are int32.

    With `together`, the memory format is channels-last; the numbers of elements stay the same.
    """
    at = tl.program_id(0) * tile + tl.arange(0, tile)
    inside = at < count
    word = _bits(_index(at, channels, pixels, together), first, second)
    keep = (word >> 1).to(tl.int32) >= limit
    x = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, tl.where(keep, x * scale, 0.0).to(out.dtype.element_ty), mask=inside)


@triton.jit(
    do_not_specialize=("first", "second", "order_first", "order_second", "number", "whole", "rest")
)
def drop_in_strata(
    source,
    out,
    count,
    first,
    second,
    order_first,
    order_second,
    number,
    whole,
    rest,
    scale,
    channels,
    pixels,
    strata: tl.constexpr,
    prime: tl.constexpr,
    together: tl.constexpr,
    tile: tl.constexpr,
):
    """As `drop`, for sample `number` of `strata` stratified samples; see `dropsmith.strata`.

    Elements in strata below `whole` are dropped, and in stratum `whole` those with bits below
    `rest`.
    """
    at = tl.program_id(0) * tile + tl.arange(0, tile)
    inside = at < count
    index = _index(at, channels, pixels, together)
    word = _bits(index, order_first, order_second)
    shift = (word >> 1) % prime
    word = _mix(word + order_first.to(tl.uint32))
    factor = (word >> 1) % (prime - 1) + 1 if prime > 2 else (word >> 31) * 0 + 1
    stratum = (factor * number.to(tl.uint32) + shift) % prime
    if prime > strata:
        for _ in range(prime - strata):
            stratum = tl.where(stratum < strata, stratum, (factor * stratum + shift) % prime)
        word = _mix(word + order_first.to(tl.uint32))
        stratum = (stratum + (word >> 1) % strata) % strata
    edge = whole.to(tl.uint32)
    drawn = _bits(index, first, second) >= rest.to(tl.uint32)
    keep = (stratum > edge) | ((stratum == edge) & drawn)
    x = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, tl.where(keep, x * scale, 0.0).to(out.dtype.element_ty), mask=inside)
