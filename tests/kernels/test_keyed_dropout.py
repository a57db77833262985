"""The fast version equals the obvious one, gradients included, and keeps nothing but keys."""

from dataclasses import replace
from shutil import which

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from dropsmith.errors import NoiseError, ViewError
from dropsmith.kernels.keyed_dropout import chunked, keyed_dropout, reference
from dropsmith.kernels.self_adjoint import LARGEST_MASK
from dropsmith.key_series import KeySeries
from dropsmith.rng import Key, Strata, bits
from dropsmith.testing import record_saved_tensors

CHUNK = chunked.CHUNK
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KEY = Key.of(3).fold(1)
KEYS = (KEY, Key.of(3).fold(2), Key.of(3).fold(3))
needs_compiler = pytest.mark.skipif(
    not any(which(name) for name in ("g++", "clang++")), reason="inductor needs a C++ compiler"
)


def seeded(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def stratified(count: int, numbers: tuple[int, ...] = (0, 1)) -> tuple[Key, ...]:
    """Keys of some of `count` views that are stratified together."""
    order = Key.of(5)
    return tuple(replace(Key.of(3).fold(n), strata=Strata(order, n, count)) for n in numbers)


def by_loop(x: Tensor, key: Key, rate: float) -> Tensor:
    """The definition, one element after the other."""
    out = []
    for index, value in enumerate(x.flatten().tolist()):
        word = int(bits(key, torch.tensor(index, dtype=torch.int32))) % 2**32
        out.append(0.0 if word / 2**32 < rate else value / (1 - rate))
    return torch.tensor(out, dtype=x.dtype).view(x.shape)


@pytest.mark.parametrize("version", [chunked.keyed_dropout, reference.keyed_dropout])
def test_both_versions_follow_the_definition(version):
    x = seeded(7, 11)
    torch.testing.assert_close(version(x, (KEY,), 0.25), by_loop(x, KEY, 0.25))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [(), (1,), (17, 3, 5), (CHUNK - 1,), (CHUNK,), (CHUNK + 1,), (3 * CHUNK + 7,)],
    ids=str,
)
def test_the_chunked_version_equals_the_reference_to_the_bit(shape, dtype):
    x = seeded(*shape, dtype=dtype)
    fast, slow = chunked.keyed_dropout(x, (KEY,), 0.3), reference.keyed_dropout(x, (KEY,), 0.3)
    assert fast.dtype == dtype
    assert fast.shape == x.shape
    assert torch.equal(fast, slow)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 7), (3, 5, 11), (3, CHUNK + 5)], ids=str)
@pytest.mark.parametrize("count", [2, 3, 8, 50, 53, 60_000])
def test_views_that_are_stratified_equal_the_reference_to_the_bit(shape, dtype, count):
    x, keys = seeded(*shape, dtype=dtype).requires_grad_(), stratified(count, (0, 1, count - 1))
    for rate in (0.0, 0.1, 0.5):
        fast, slow = keyed_dropout(x, keys, rate), reference.keyed_dropout(x, keys, rate)
        assert fast.dtype == dtype
        assert torch.equal(fast, slow)
        (grad,), (want,) = (torch.autograd.grad(y.sum(), x) for y in (fast, slow))
        torch.testing.assert_close(grad, want)


def test_views_of_several_blocks_of_strata_are_dropped_as_each_block_by_itself():
    x, first = seeded(4, 50), stratified(2)
    second = tuple(replace(k, strata=replace(k.strata, order=Key.of(9))) for k in first)
    together = keyed_dropout(x, (*first, *second), 0.3)
    apart = [keyed_dropout(part, keys, 0.3) for part, keys in ((x[:2], first), (x[2:], second))]
    assert torch.equal(together, torch.cat(apart))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 3),
    st.floats(0, 0.99),
    st.sampled_from(DTYPES),
)
def test_several_keys_equal_several_calls(sizes, views, rate, dtype):
    x = seeded(views * sizes[0], *sizes[1:], dtype=dtype)
    alone = [keyed_dropout(part, (key,), rate) for part, key in zip(x.chunk(views), KEYS)]  # noqa: B905
    assert torch.equal(keyed_dropout(x, KEYS[:views], rate), torch.cat(alone))
    assert torch.equal(reference.keyed_dropout(x, KEYS[:views], rate), torch.cat(alone))


@pytest.mark.parametrize("shape", [(0,), (0, 4), (6, 0, 2)])
@pytest.mark.parametrize("version", [chunked.keyed_dropout, reference.keyed_dropout])
def test_an_empty_tensor_stays_empty(version, shape):
    x = torch.empty(shape, requires_grad=True)
    out = version(x, KEYS[:2], 0.5)
    assert out.shape == shape
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape


def test_elements_count_in_reading_order_whatever_the_memory_order():
    x = seeded(6, 8, 10)
    for view in (
        x.transpose(0, 2),
        x[::2],
        x[:, :, 3:7],
        x.permute(2, 0, 1),
        x[:, :1].expand_as(x),
    ):
        assert not view.is_contiguous()
        want = keyed_dropout(view.contiguous(), (KEY,), 0.4)
        assert torch.equal(keyed_dropout(view, (KEY,), 0.4), want)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    ("sizes", "views"),
    [((2, 3, 5, 7), 1), ((6, 33, 41, 31), 2), ((6, 33, 41, 31), 3), ((2, CHUNK + 3, 1, 2), 2)],
)
def test_images_whose_channels_lie_together_stay_so_and_drop_the_same(sizes, views, dtype):
    x = torch.randn(sizes, generator=torch.Generator().manual_seed(0)).to(dtype)
    keys = tuple(Key.of(seed) for seed in range(views))
    together = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    dropped = keyed_dropout(together, keys, 0.4)
    assert torch.equal(dropped, keyed_dropout(x, keys, 0.4))
    assert dropped.is_contiguous(memory_format=torch.channels_last)
    seen = []
    together.register_hook(seen.append)
    dropped.backward(x.contiguous(memory_format=torch.channels_last))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(seen[0], keyed_dropout(x, keys, 0.4))


def test_the_input_is_left_alone():
    x = seeded(100)
    before = x.clone()
    keyed_dropout(x, (KEY,), 0.5)
    assert torch.equal(x, before)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dropped_element_is_zero_whatever_it_was(value, dtype):
    kept = keyed_dropout(torch.ones(1000), (KEY,), 0.5) != 0
    x = torch.full((1000,), value, dtype=dtype)
    for version in (chunked.keyed_dropout, reference.keyed_dropout):
        out = version(x, (KEY,), 0.5)
        assert bool((out[~kept] == 0).all())
        torch.testing.assert_close(out[kept], x[kept], equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "views"), [((6, 50), 1), ((6, 50), 2), ((3, 7, 11), 3)])
def test_masks_made_ahead_drop_what_each_key_drops_by_itself(shape, views, dtype):
    series = [KeySeries(key) for key in KEYS[:views]]
    x, incoming = seeded(*shape, dtype=dtype).requires_grad_(), seeded(*shape, dtype=dtype).flip(0)
    for number in (*range(80), 7, 8, 9):
        rate = 0.25 if number < 70 else 0.5
        made = x.transpose(0, 1) if number in (5, 6) and views == 1 else x
        out = keyed_dropout(made, tuple(s.key(number) for s in series), rate)
        slow = reference.keyed_dropout(made, tuple(k.fold(number) for k in KEYS[:views]), rate)
        assert torch.equal(out, slow)
        (grad,), (want,) = (
            torch.autograd.grad(y, x, incoming.view(y.shape) if y.shape == x.shape else y.detach())
            for y in (out, slow)
        )
        torch.testing.assert_close(grad, want)


def test_masks_made_ahead_hold_until_the_backward_of_each_step():
    series, x = KeySeries(KEY), seeded(4, 9).requires_grad_()
    outputs = [keyed_dropout(x, (series.key(number),), 0.5) for number in range(150)]
    for number, out in enumerate(outputs):
        (grad,) = torch.autograd.grad(out.sum(), x)
        assert torch.equal(
            grad, reference.keyed_dropout(torch.ones(4, 9), (KEY.fold(number),), 0.5)
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_masks_made_ahead_under_inference_mode_serve_a_later_backward(dtype):
    series, x = KeySeries(KEY), seeded(4, 9, dtype=dtype).requires_grad_()
    with torch.inference_mode():
        for number in range(3):
            keyed_dropout(x.detach(), (series.key(number),), 0.5)
    (grad,) = torch.autograd.grad(keyed_dropout(x, (series.key(3),), 0.5).sum(), x)
    ones = torch.ones(4, 9, dtype=dtype)
    assert torch.equal(grad, reference.keyed_dropout(ones, (KEY.fold(3),), 0.5))


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dropped_element_of_a_small_tensor_is_zero_whatever_it_was_beside(value, dtype):
    x = seeded(40, 50, dtype=dtype)
    x[::3, ::2] = value
    x[1::3, ::5] = -value
    out, kept = keyed_dropout(x, (KEY,), 0.5), keyed_dropout(torch.ones(40, 50), (KEY,), 0.5) != 0
    assert bool((out[~kept] == 0).all())
    torch.testing.assert_close(out[kept], (x.double() * 2).to(dtype)[kept], equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "version", [chunked.keyed_dropout, reference.keyed_dropout, reference.redrawn]
)
def test_the_gradient_is_the_mask(version):
    x = seeded(5, 1000).requires_grad_()
    incoming = seeded(5, 1000).flip(0)
    (gradient,) = torch.autograd.grad(version(x, (KEY,), 0.3), x, incoming)
    torch.testing.assert_close(gradient, by_loop(incoming, KEY, 0.3))


@pytest.mark.parametrize(
    "version", [chunked.keyed_dropout, reference.keyed_dropout, reference.redrawn]
)
def test_first_and_second_derivatives_match_finite_differences(version):
    x = seeded(4, 3, dtype=torch.float64).requires_grad_()

    def curved(x: Tensor) -> Tensor:
        return version(x**2, KEYS[:2], 0.4) ** 2

    assert torch.autograd.gradcheck(curved, x)
    assert torch.autograd.gradgradcheck(curved, x)


@pytest.mark.parametrize("rate", [0.5, torch.tensor(0.5, dtype=torch.float64)], ids=repr)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_of_what_is_large_nothing_but_keys_is_kept_for_the_backward_pass(rate, device):
    x = torch.ones(64, LARGEST_MASK // 256 + 1, device=device, requires_grad=True)
    with record_saved_tensors() as kept:
        keyed_dropout(x, KEYS[:2], rate)
    assert kept == []


@pytest.mark.parametrize(("shape", "views"), [((5, 3), 2), ((4, 3), 3), ((), 2)])
def test_views_that_do_not_divide_the_tensor_are_refused(shape, views):
    with pytest.raises(ViewError, match=f"{views} views do not divide"):
        keyed_dropout(torch.ones(shape), KEYS[:views], 0.5)


def test_a_tensor_without_memory_has_its_shape_propagated_and_leaves_nothing_behind():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert keyed_dropout(torch.ones(4, 5), (KEY,), 0.5).shape == (4, 5)
    with torch.device("meta"):
        x = torch.ones(1000, device="cpu")
        assert torch.equal(keyed_dropout(x, (KEY,), 0.5), reference.redrawn(x, (KEY,), 0.5))


def test_keys_that_hold_tensors_draw_what_their_integers_draw():
    step = torch.tensor(-5, dtype=torch.int32)
    traced, plain = Key.of(3).fold(step), Key.of(3).fold(-5 % 2**32)
    x = seeded(1000)
    assert torch.equal(keyed_dropout(x, (traced,), 0.5), keyed_dropout(x, (plain,), 0.5))
    assert torch.equal(reference.keyed_dropout(x, (traced,), 0.5), keyed_dropout(x, (plain,), 0.5))


def test_a_rate_in_a_tensor_drops_what_the_number_drops():
    x = seeded(1000)
    traced = keyed_dropout(x, (KEY,), torch.tensor(0.3, dtype=torch.float64))
    torch.testing.assert_close(traced, keyed_dropout(x, (KEY,), 0.3))
    assert torch.equal(traced == 0, keyed_dropout(x, (KEY,), 0.3) == 0)


def test_two_threads_draw_what_one_draws():
    from concurrent.futures import ThreadPoolExecutor

    parts = [seeded(CHUNK + number) for number in range(8)]
    want = [keyed_dropout(x, (KEY,), 0.5) for x in parts]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda x: keyed_dropout(x, (KEY,), 0.5), parts))
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


# Torch's own, on the first import of inductor.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=needs_compiler)])
def test_compiled_code_drops_what_eager_code_drops(backend):
    def run(x: Tensor, step: Tensor) -> Tensor:
        return keyed_dropout(x, (Key.of(3).fold(step), Key.of(4).fold(step)), 0.3)

    torch._dynamo.reset()
    compiled = torch.compile(run, backend=backend, fullgraph=True)
    for step in (0, 1, 2**31 - 1):
        x = torch.ones(6, 1001, requires_grad=True)
        out = compiled(x, torch.tensor(step, dtype=torch.int32))
        assert torch.equal(out, run(x, torch.tensor(step, dtype=torch.int32)))
        (gradient,) = torch.autograd.grad(out.sum(), x)
        assert torch.equal(gradient, out)


def test_another_step_does_not_compile_again():
    def run(x: Tensor, step: Tensor) -> Tensor:
        return keyed_dropout(x, (Key.of(3).fold(step),), 0.3)

    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(run, backend=counter, fullgraph=True)
    for step in range(20):
        compiled(torch.ones(4, 5), torch.tensor(step, dtype=torch.int32))
    assert counter.frame_count == 1


def test_a_view_of_more_elements_than_have_numbers_is_refused():
    x = torch.ones(1, dtype=torch.float16).expand(2 * (2**32 + 1))
    with pytest.raises(NoiseError, match="this one has 4,294,967,297\n  split the batch"):
        keyed_dropout(x, KEYS[:2], 0.5)
