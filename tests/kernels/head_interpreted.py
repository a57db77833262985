"""What `test_triton` runs in a process of its own, where Triton's interpreter is on."""

import pytest
import torch

from dropsmith.errors import KernelError
from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    Mix,
    Triton,
    fused_linear_consistency,
)
from dropsmith.kernels.fused_linear_consistency.reference import (
    fused_linear_consistency as by_definition,
)
from kernels.test_fused_linear_consistency import CLOSE, given, results

TILES = [Triton(items=14, rows=8, classes=16), Triton(rows=4, classes=32)]
CLOSE_TO = CLOSE | {torch.float16: 4e-3}


def assert_that_of_the_definition(tensors, settings, mix, tiles, asked=None):
    dtype = tensors[0].dtype
    exact = [x.detach().double().requires_grad_() if x is not None else None for x in tensors[:3]]

    def kernel(*args):
        return fused_linear_consistency(*args, tiles)

    found, grads = results(kernel, tensors, settings, mix, asked)
    expected, others = results(by_definition, (*exact, tensors[3]), settings, mix, asked)
    for a, b in zip([*found[:2], *grads], [*expected[:2], *others], strict=True):
        b = b.detach().nan_to_num(0.0)
        bound = CLOSE_TO[dtype] * (float(b.abs().max()) + 1e-6)
        assert float((a.detach().double() - b).abs().max()) <= bound


@pytest.mark.parametrize("tiles", TILES, ids=str)
@pytest.mark.parametrize("distance", ["symmetric_kl", "squared"])
@pytest.mark.parametrize("views", [1, 2])
def test_sums_and_gradients_are_those_of_the_definition_at_any_tile(views, distance, tiles):
    tensors = given(views=views, items=9, classes=43, dtype=torch.float32)
    mix = Mix((0.5, 0.25)[:views], 1.5)
    assert_that_of_the_definition(tensors, HeadSettings(distance=distance, items=14), mix, tiles)


@pytest.mark.parametrize("distance", ["symmetric_kl", "squared"])
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("lacking", [slice(40, 43), slice(16, 33)])
def test_smoothing_caps_and_missing_classes(distance, cap, lacking):
    """Of tiles of sixteen, the last in part and the second whole may hold no class."""
    tensors = given(items=8, classes=43, dtype=torch.float32)
    hidden, weight, bias, labels = tensors
    labels = torch.where(labels > 15, labels - 16, labels)
    with torch.no_grad():
        bias[lacking] = -torch.inf
    settings = HeadSettings(distance=distance, cap=cap, smoothing=0.1)
    tensors = hidden, weight, bias, labels
    assert_that_of_the_definition(tensors, settings, Mix((0.5, 1.0), 0.7), TILES[0])


def test_the_first_tile_may_hold_no_class_at_all():
    hidden, weight, bias, labels = given(items=8, classes=43, dtype=torch.float32)
    with torch.no_grad():
        bias[:16] = -torch.inf
    tensors = hidden, weight, bias, torch.where(labels < 0, labels, labels % 16 + 20)
    assert_that_of_the_definition(tensors, HeadSettings(), Mix((0.5, 1.0), 0.7), TILES[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_as_close_as_its_digits_allow(dtype):
    tensors = given(items=8, classes=43, dtype=dtype)
    assert_that_of_the_definition(tensors, HeadSettings(), Mix((0.5, 0.5), 1.5), TILES[0])


def test_another_mix_than_the_one_foreseen_is_exact_too():
    tensors = given(items=8, classes=43, dtype=torch.float32)
    mix, asked = Mix((0.5, 0.5), 1.5), Mix((0.5, 0.25), 0.1)
    assert_that_of_the_definition(tensors, HeadSettings(), mix, TILES[0], asked)


def test_a_shift_of_all_scores_and_a_maximum_that_comes_late_cost_no_digits():
    tensors = given(items=8, classes=43, dtype=torch.float32, width=3)
    with torch.no_grad():
        tensors[2].add_(torch.arange(43) * 2.0)
        tensors[0][1, :, 0] += 0.01
        tensors[1][:, 0] += 50.0
    settings, mix = HeadSettings(), Mix((0.0, 0.0), 1.0)
    one = fused_linear_consistency(*tensors, settings, mix, TILES[0]).consistency
    exact = [x.detach().double() if x.is_floating_point() else x for x in tensors]
    expected = by_definition(*exact, settings, mix).consistency
    torch.testing.assert_close(one.detach().double(), expected, rtol=1e-2, atol=1e-6)


def test_one_item_a_program_is_the_same():
    tensors = given(items=8, classes=43, dtype=torch.float32)
    tiles = Triton(rows=1, classes=64)
    assert_that_of_the_definition(tensors, HeadSettings(), Mix((0.5, 0.5), 1.5), tiles)


def test_equal_views_agree_exactly():
    hidden, weight, bias, labels = given(items=8, classes=43, dtype=torch.float32)
    same = hidden[:1].expand(2, -1, -1)
    sums = fused_linear_consistency(
        same, weight, bias, labels, HeadSettings(), Mix((1, 1), 1), TILES[0]
    )
    assert not sums.consistency.detach().any()


def test_what_it_has_not_is_an_error_that_says_what_it_has():
    mix = Mix((1.0, 1.0), 1.0)
    settings = HeadSettings(distance="jensen_shannon")
    with pytest.raises(KernelError, match="no jensen_shannon of 2 views"):
        fused_linear_consistency(*given(dtype=torch.float32), settings, mix, Triton())
    with pytest.raises(KernelError, match="does not support float64"):
        fused_linear_consistency(*given(), HeadSettings(), mix, Triton())
