"""The head's Triton kernel: in its interpreter, through its compiler, and what it refuses."""

from pathlib import Path

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
from kernels.test_lstm_triton import in_a_process_of_its_own, needs_triton

HERE = Path(__file__).parent
MIX = Mix((0.5, 0.5), 1.0)


@needs_triton
def test_the_kernel_in_the_interpreter_agrees_with_the_definition():
    cases = ("-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "head_interpreted.py"))
    assert "passed" in in_a_process_of_its_own(*cases, TRITON_INTERPRET="1")


@needs_triton
def test_the_kernel_compiles_for_a_gpu_that_is_not_here(tmp_path):
    script = str(HERE / "head_compiled.py")
    made = in_a_process_of_its_own(script, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert made.split() == ["agree"] * 4


@needs_triton
def test_without_a_gpu_it_is_an_error_that_names_the_device():
    with pytest.raises(KernelError, match=r"runs on a GPU, and this is on cpu\n.*kernel at None"):
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
