"""What the head's Triton kernel refuses."""

import pytest
import torch

from dropsmith.errors import KernelError, MissingExtra
from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    Mix,
    Triton,
    fused_linear_consistency,
)
from kernels.test_fused_linear_consistency import given
from kernels.test_triton import needs_triton

pytestmark = pytest.mark.slow

MIX = Mix((0.5, 0.5), 1.0)


@needs_triton
def test_without_a_gpu_it_is_an_error_that_names_the_device():
    with pytest.raises(KernelError, match=r"GPU, but the tensors are on cpu\n.*kernel=None"):
        fused_linear_consistency(*given(dtype=torch.float32), HeadSettings(), MIX, Triton())


def test_without_triton_it_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(
        "dropsmith.kernels.fused_linear_consistency.triton.find_spec", lambda name: None
    )
    with pytest.raises(MissingExtra, match=r"dropsmith\[triton\]"):
        fused_linear_consistency(*given(dtype=torch.float32), HeadSettings(), MIX, Triton())


@pytest.mark.parametrize("size", [8, 24])
def test_a_size_that_is_no_tile_is_an_error(size):
    with pytest.raises(KernelError, match=f"classes={size} is no size of a tile"):
        Triton(classes=size)
