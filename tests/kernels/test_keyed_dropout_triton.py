"""When the Triton kernel of keyed dropout is taken."""

import torch

from dropsmith.kernels.keyed_dropout import triton
from dropsmith.rng import Key


def test_a_tensor_on_a_cpu_is_not_for_it():
    assert not triton.serves(torch.ones(3), (Key.of(0),), 0.5)
