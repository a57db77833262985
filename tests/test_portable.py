"""The lines of an exported graph give the bits of eager code, and stay within 24 bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from deployment.drawing import PATTERNS, exported, key
from dropsmith import portable, rng
from dropsmith.axes import Axes
from dropsmith.keys import Key, Strata, mix
from dropsmith.patterns import Gaussian, Spans, Tiles, WordDropout
from dropsmith.rng import Source, StackedSources
from dropsmith.strata import Orders, prime_from, stratified_bits


def all_words() -> Tensor:
    """Words of 32 bits: edges, neighbours of edges, and random ones."""
    edges = [0, 1, 2**8, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
    near = {(edge + step) % 2**32 for edge in edges for step in range(-3, 4)}
    numbers = np.random.default_rng(0).integers(0, 2**32, 20_000)
    words = np.concatenate([np.array(sorted(near)), numbers]).astype(np.uint32)
    return torch.from_numpy(words.view(np.int32))


WORDS = all_words()
UNSIGNED = WORDS.long() & 0xFFFFFFFF


@pytest.mark.parametrize("places", [8, 15, 16, 24, 31])
def test_a_word_moves_right_as_one_without_a_sign(places):
    assert torch.equal(portable.shift_right(WORDS, places).long(), UNSIGNED >> places)


def test_half_of_a_word_is_its_upper_31_bits():
    assert torch.equal(portable.half(WORDS).long(), UNSIGNED >> 1)


@pytest.mark.parametrize("limit", [0, 1, 12_345, 2**31 - 1, 2**31, 2**31 + 5, 2**32 - 1])
def test_words_are_compared_without_a_sign(limit):
    assert torch.equal(portable.is_below(WORDS, limit), limit > UNSIGNED)
    as_word = torch.tensor(limit).to(torch.int32)
    assert torch.equal(portable.is_below(WORDS, as_word), limit > UNSIGNED)


@pytest.mark.parametrize("divisor", [1, 2, 53, 251, 256, 4091, 46_337])
def test_remainders_of_31_bits(divisor):
    assert torch.equal(portable.remainder_of_half(WORDS, divisor).long(), (UNSIGNED >> 1) % divisor)


@pytest.mark.parametrize("count", [1, 2, 7, 53, 300, 32_767])
def test_a_number_of_31_bits_lies_in_one_of_some_equal_parts(count):
    want = (UNSIGNED >> 1) * count >> 31
    assert torch.equal(portable.share_of_half(WORDS, count).long(), want)


@pytest.mark.parametrize("divisor", [2, 3, 50, 4091, 46_337])
def test_quotients_of_64_bits(divisor):
    high = torch.arange(len(WORDS), dtype=torch.int32) % divisor
    want = ((high.long() << 32) | UNSIGNED) // divisor
    found = portable.divide_words(high, WORDS, divisor).long() & 0xFFFFFFFF
    assert torch.equal(found, want)


@pytest.mark.parametrize("factor", [0, 1, 3 << 29, 2**31 - 1, 2**33 + 11, -1, -(2**31) - 7])
def test_products_of_31_bits(factor):
    parts = (UNSIGNED >> 1).to(torch.int32)
    want = [part * factor >> 31 & (2**31 - 1) for part in parts.tolist()]
    assert portable.times_fraction(parts, factor).tolist() == want


def test_the_inverse_error_function_is_that_of_torch_to_rounding():
    cells = torch.cat([torch.arange(-(2**24) + 1, 2**24, 9999), torch.tensor([2**24 - 1])])
    x = cells.float() * 2.0**-24
    torch.testing.assert_close(
        portable.inverse_error_function(x), x.double().erfinv().float(), rtol=2e-6, atol=0
    )


def test_no_step_divides_or_compares_numbers_of_more_than_24_bits():
    """What a runtime may do in float32: divisions, remainders, casts, comparisons but for signs."""
    from torch.utils._python_dispatch import TorchDispatchMode

    narrow = ("div", "remainder", "fmod", "floor_divide", "_to_copy", "ge", "gt", "eq", "le", "lt")
    seen: set[str] = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            name = func.__name__.partition(".")[0]
            assert "shift" not in name
            for x in args:
                if isinstance(x, Tensor) and name in narrow and x.dtype == torch.int32:
                    seen.add(name)
                    of_signs = name == "lt" and args[1] == 0
                    as_float = x.float().to(torch.int64)
                    assert of_signs or torch.equal(as_float, x.long()), name
            return func(*args, **(kwargs or {}))

    with exported(), Watch():
        for count in (0, 5, 50, 4091):
            source = Source(key(count))
            rng.keep(source, (4, 60), 0.3), rng.normal(source, (4, 60))
            Spans(size=3, stride=2).draw(Axes(("batch", "time"), (3, 50)), source)
            tiles = Tiles(size=3, stride=2, repeat=2, rotate=20)
            tiles.draw(Axes.read("batch channel height width", (2, 2, 20, 20)), source)
    assert {"remainder", "_to_copy", "lt"} <= seen


@pytest.mark.parametrize("count", [2, 3, 13, 50, 127, 1000, 4091])
def test_strata_and_their_words_are_those_of_eager_code(count):
    index = torch.arange(500, dtype=torch.int32)
    for number in (0, 1, count - 1):
        with exported():
            orders, found = Orders.of(Key.of(3), index, count), stratified_bits(key(count), index)
            strata = orders.strata(torch.tensor(number, dtype=torch.int32))
        assert torch.equal(strata, Orders.of(Key.of(3), index, count).strata(number))
        assert torch.equal(found, stratified_bits(key(count), index))
    assert prime_from(count) <= portable.LARGEST_DIVISOR


def test_words_of_a_key_of_tensors_are_those_of_the_numbers():
    with exported():
        found = mix(WORDS)
    assert torch.equal(found, mix(WORDS))


@pytest.mark.parametrize("count", [0, 5, 50])
@pytest.mark.parametrize(("pattern", "names", "sizes"), PATTERNS, ids=str)
def test_a_pattern_draws_the_mask_of_eager_code(pattern, names, sizes, count):
    axes = Axes.read(names, sizes)
    for number in (0, 3):
        source = Source(key(count, number), view=number)
        want = pattern.draw(axes, source)
        with exported():
            found = pattern.draw(axes, source)
        if isinstance(pattern, Gaussian):
            torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(found.expand(want.shape), want)


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("per", ["row", "table"])
def test_words_are_dropped_as_in_eager_code(per, count):
    ids = torch.randint(0, 9, (7, 12), generator=torch.Generator().manual_seed(0))
    pattern, source = WordDropout(rate=0.4, per=per), Source(key(count, 2))
    with exported():
        found = pattern.mask(ids, source)
    assert torch.equal(found, pattern.mask(ids, source))


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize(("pattern", "names", "sizes"), PATTERNS, ids=str)
def test_masks_of_views_drawn_together_are_those_of_each(pattern, names, sizes, count):
    views = 3
    keys = [key(count, number) for number in range(views)]
    want = pattern.masks(
        (views * sizes[0], *sizes[1:]),
        tuple(names.split()),
        [Source(key, view=view) for view, key in enumerate(keys)],
    )
    with exported():
        found = pattern.masks(
            (views * sizes[0], *sizes[1:]), tuple(names.split()), together(keys, count)
        )
    if isinstance(pattern, Gaussian):
        torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(*torch.broadcast_tensors(found, want))


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("per", ["row", "table"])
def test_words_of_views_dropped_together_are_those_of_each(per, count):
    ids = torch.randint(0, 9, (3 * 7, 12), generator=torch.Generator().manual_seed(0))
    pattern, rows = WordDropout(rate=0.4, per=per), torch.ones(21, 12, 2)
    keys = [key(count, number) for number in range(3)]
    want = pattern.drop_rows(rows, ids, [Source(key) for key in keys])
    with exported():
        assert torch.equal(pattern.drop_rows(rows, ids, together(keys, count)), want)


def test_sources_of_stacked_views_are_also_those_of_each():
    keys = [key(5, number) for number in range(3)]
    sources = together(keys, 5)
    for number, source in enumerate(sources):
        assert source.view == number
        assert torch.equal(words_of(source.key), words_of(keys[number]))


def words_of(key: Key) -> Tensor:
    return rng.bits(key, torch.arange(40, dtype=torch.int32))


def together(keys: list[Key], count: int) -> StackedSources:
    def column(words: list[int]) -> Tensor:
        return torch.from_numpy(np.array(words, np.uint32).view(np.int32))

    one = Key(column([k.numbers[0] for k in keys]), column([k.numbers[1] for k in keys]))
    views = torch.arange(len(keys), dtype=torch.int32)
    if count:
        orders = [key.strata.order for key in keys if key.strata is not None]
        order = Key(column([k.numbers[0] for k in orders]), column([k.numbers[1] for k in orders]))
        one = replace(one, strata=Strata(order, views, count))
    return StackedSources(Source(one, view=views))
