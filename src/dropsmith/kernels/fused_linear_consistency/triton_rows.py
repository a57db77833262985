"""Loss and gradient of one or two views' scores in Triton, item by item.

A program works on a few items with all their classes and reads them twice, a tile at a time: first
for sums and running maxima, in float32, then for the gradient, which overwrites the scores. This
file imports Triton, so it is imported only when the kernel is used.
"""

import triton
import triton.language as tl


@triton.jit
def _tile(scores, columns, inside, cap, has_cap: tl.constexpr):
    """Scores, −inf for missing classes; the mask of missing classes; the derivative of the cap."""
    z = tl.load(scores + columns, mask=inside, other=float("-inf")).to(tl.float32)
    missing = z == float("-inf")
    slope = tl.full(z.shape, 1.0, tl.float32)
    if has_cap:
        # tanh from the sigmoid: Triton has no tanh that also runs in its interpreter.
        tanh = 2 * tl.sigmoid(2 * tl.where(missing, 0.0, z) / cap) - 1
        slope = 1 - tanh * tanh
        z = tl.where(missing, float("-inf"), cap * tanh)
    return z, missing, slope


@triton.jit
def _running_maximum(highest, z):
    """The maximum with a further tile, and the same with 0 in place of −inf."""
    maximum = tl.maximum(highest, tl.max(z, 1))
    return maximum, tl.where(maximum == float("-inf"), 0.0, maximum)


@triton.jit
def _target(grad, weight, smoothing, remaining, is_label, missing):
    """A gradient minus the target of the cross-entropy."""
    even = tl.where(missing, 0.0, weight * smoothing / remaining)
    return grad - even - tl.where(is_label, weight * (1 - smoothing), 0.0)


@triton.jit
def loss_rows(
    scores,
    labels,
    sums,
    items,
    classes,
    remaining,
    first_weight,
    second_weight,
    share,
    smoothing,
    cap,
    two: tl.constexpr,
    squared: tl.constexpr,
    has_cap: tl.constexpr,
    with_grads: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_classes: tl.constexpr,
):
    """Sums `[3, items]` of cross-entropies and distance; the gradient overwrites the scores.

    Scores are `[views, items, classes]`; `remaining` is the number of classes not at −inf.
    """
    rows = tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)
    within = rows < items
    label = tl.load(labels + rows, mask=within, other=0)[:, None]
    first = scores + (tl.cast(rows, tl.int64) * classes)[:, None]
    second = first
    if two:
        second = first + tl.cast(items, tl.int64) * classes

    none = tl.zeros((tile_rows,), tl.float32)
    top1, top2 = none + float("-inf"), none + float("-inf")
    base1, base2, s1, s2, to1, to2 = none, none, none, none, none, none
    chosen1, chosen2, even1, even2, apart = none, none, none, none, none
    for start in range(0, classes, tile_classes):
        columns = (start + tl.arange(0, tile_classes))[None, :]
        inside = within[:, None] & (columns < classes)
        is_label = columns == label
        z1, missing, _ = _tile(first, columns, inside, cap, has_cap)
        maximum, above = _running_maximum(top1, z1)
        decay1, drift1 = tl.exp(top1 - above), above - base1
        top1, base1 = maximum, above
        from1 = tl.where(missing, 0.0, z1 - above[:, None])
        e1 = tl.where(missing, 0.0, tl.exp(from1))
        plain1 = tl.where(missing, 0.0, z1)
        chosen1 += tl.sum(tl.where(is_label, plain1, 0.0), 1)
        even1 += tl.sum(plain1, 1)
        if two:
            z2, missing, _ = _tile(second, columns, inside, cap, has_cap)
            maximum, above = _running_maximum(top2, z2)
            decay2, drift2 = tl.exp(top2 - above), above - base2
            top2, base2 = maximum, above
            from2 = tl.where(missing, 0.0, z2 - above[:, None])
            e2 = tl.where(missing, 0.0, tl.exp(from2))
            plain2 = tl.where(missing, 0.0, z2)
            chosen2 += tl.sum(tl.where(is_label, plain2, 0.0), 1)
            even2 += tl.sum(plain2, 1)
            # Differences are relative to the maxima, so they change when a maximum does.
            ratio, drift = from1 - from2, drift2 - drift1
            to1 = decay1 * (to1 + drift * s1) + tl.sum(e1 * ratio, 1)
            to2 = decay2 * (to2 + drift * s2) + tl.sum(e2 * ratio, 1)
            s2 = decay2 * s2 + tl.sum(e2, 1)
            if squared:
                apart += tl.sum((plain1 - plain2) * (plain1 - plain2), 1)
        s1 = decay1 * s1 + tl.sum(e1, 1)

    s1 = tl.where(within, s1, 1.0)
    all1 = base1 + tl.log(s1)
    task = all1 - (1 - smoothing) * chosen1 - smoothing * even1 / remaining
    tl.store(sums + rows, task, mask=within)
    all2, kl1, kl2 = none, none, none
    if two:
        s2 = tl.where(within, s2, 1.0)
        all2 = base2 + tl.log(s2)
        task = all2 - (1 - smoothing) * chosen2 - smoothing * even2 / remaining
        tl.store(sums + items + rows, task, mask=within)
        shift = tl.log(s1) - tl.log(s2)
        kl1, kl2 = to1 / s1 - shift, shift - to2 / s2
        distance = (tl.maximum(kl1, 0.0) + tl.maximum(kl2, 0.0)) / 2
        if squared:
            distance = apart / remaining
        tl.store(sums + 2 * items + rows, distance, mask=within)

    if with_grads:
        half = share / 2
        for start in range(0, classes, tile_classes):
            columns = (start + tl.arange(0, tile_classes))[None, :]
            inside = within[:, None] & (columns < classes)
            is_label = columns == label
            z1, missing, slope1 = _tile(first, columns, inside, cap, has_cap)
            log1 = tl.where(missing, 0.0, z1 - all1[:, None])
            p1 = tl.where(missing, 0.0, tl.exp(log1))
            grad = first_weight * p1
            if two:
                z2, missing, slope2 = _tile(second, columns, inside, cap, has_cap)
                log2 = tl.where(missing, 0.0, z2 - all2[:, None])
                p2 = tl.where(missing, 0.0, tl.exp(log2))
                other = second_weight * p2
                if squared:
                    gap = tl.where(missing, 0.0, z1) - tl.where(missing, 0.0, z2)
                    grad += 2 * share / remaining * gap
                    other -= 2 * share / remaining * gap
                else:
                    ratio = log1 - log2
                    grad += half * (p1 * (ratio - kl1[:, None] + 1) - p2)
                    other += half * (p2 * (-ratio - kl2[:, None] + 1) - p1)
                other = _target(other, second_weight, smoothing, remaining, is_label, missing)
                tl.store(second + columns, other * slope2, mask=inside)
            grad = _target(grad, first_weight, smoothing, remaining, is_label, missing)
            tl.store(first + columns, grad * slope1, mask=inside)
