"""The Triton kernel of keyed dropout in its interpreter, and when it is taken."""

from pathlib import Path

import torch

from dropsmith.kernels.keyed_dropout import triton
from dropsmith.rng import Key
from kernels.test_lstm_triton import in_a_process_of_its_own, needs_triton


@needs_triton
def test_the_kernel_in_the_interpreter_agrees_with_the_reference():
    script = str(Path(__file__).parent / "dropout_interpreted.py")
    cases = ("-m", "pytest", "-q", "-p", "no:cacheprovider", script)
    assert "passed" in in_a_process_of_its_own(*cases, TRITON_INTERPRET="1")


def test_a_tensor_on_a_cpu_is_not_for_it():
    assert not triton.serves(torch.ones(3), (Key.of(0),), 0.5)
