"""What `test_triton` runs in a process of its own, with Triton's interpreter on."""

import pytest
import torch

from dropsmith.kernels.keyed_dropout import reference
from dropsmith.kernels.keyed_dropout.triton import TILE, TYPES, keyed_dropout
from dropsmith.rng import Key
from kernels.test_keyed_dropout import KEY, KEYS, seeded, stratified


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (17, 3, 5), (TILE,), (2 * TILE + 7,)], ids=str)
def test_it_equals_the_reference(shape, dtype):
    x = seeded(*shape, dtype=dtype)
    found = keyed_dropout(x, (KEY,), 0.3)
    want = reference.keyed_dropout(x, (KEY,), 0.3)
    assert found.dtype == dtype
    assert torch.equal(found == 0, want == 0)
    # Triton's interpreter cuts bfloat16 off where a GPU rounds it: see tests/gpu.
    last = 2**-7 if dtype == torch.bfloat16 else 0.0
    torch.testing.assert_close(found, want, atol=0, rtol=last)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.97])
def test_several_keys_at_any_rate_equal_the_reference(rate):
    x = seeded(6, 35, 3)
    want = reference.keyed_dropout(x, KEYS, rate)
    assert torch.equal(keyed_dropout(x, KEYS, rate), want)


@pytest.mark.parametrize("seed", range(8))
def test_keys_of_either_sign_serve(seed):
    x, key = torch.ones(100), Key.of(seed)
    assert torch.equal(keyed_dropout(x, (key,), 0.5), reference.keyed_dropout(x, (key,), 0.5))


@pytest.mark.parametrize("count", [2, 3, 8, 50, 53, 128])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.97])
def test_views_that_are_stratified_equal_the_reference(count, rate):
    x, keys = seeded(6, 35, 3), stratified(count, (0, 1, count - 1))
    assert torch.equal(keyed_dropout(x, keys, rate), reference.keyed_dropout(x, keys, rate))


@pytest.mark.parametrize("views", [1, 2])
def test_images_whose_channels_lie_together_stay_so_and_drop_the_same(views):
    x = seeded(4, 3, 5, 7)
    together = x.contiguous(memory_format=torch.channels_last)
    found = keyed_dropout(together, KEYS[:views], 0.4)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, reference.keyed_dropout(x, KEYS[:views], 0.4))


def test_other_layouts_count_in_reading_order():
    x = seeded(6, 8, 10)
    for view in (x.transpose(0, 2), x[::2], x[:, :1].expand_as(x)):
        assert torch.equal(
            keyed_dropout(view, (KEY,), 0.4), reference.keyed_dropout(view, (KEY,), 0.4)
        )


def test_the_gradient_is_the_mask_and_so_is_that_of_the_gradient():
    x, incoming = seeded(5, 100).requires_grad_(), seeded(5, 100).flip(0).requires_grad_()
    (found,) = torch.autograd.grad(keyed_dropout(x, (KEY,), 0.3), x, incoming, create_graph=True)
    assert torch.equal(found, reference.keyed_dropout(incoming, (KEY,), 0.3))
    (again,) = torch.autograd.grad(found.sum(), incoming)
    assert torch.equal(again, reference.keyed_dropout(torch.ones(5, 100), (KEY,), 0.3))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_dropped_element_is_zero_whatever_it_was(value):
    out = keyed_dropout(torch.full((1000,), value), (KEY,), 0.5)
    kept = reference.keyed_dropout(torch.ones(1000), (KEY,), 0.5) != 0
    assert bool((out[~kept] == 0).all())
    assert not bool(out[kept].isfinite().any())
