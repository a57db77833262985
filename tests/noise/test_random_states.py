"""The generators of torch, NumPy and Python are told apart and put back."""

import random

import numpy as np
import pytest
import torch

from dropsmith.noise.random_states import RandomStates

DRAWS = {
    "torch": lambda: torch.rand(2).tolist(),
    "numpy": lambda: np.random.random(2).tolist(),
    "random": lambda: random.random(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_moves_its_own_generator_and_restoring_brings_it_back(name):
    before = RandomStates.now()
    first = DRAWS[name]()
    assert before.changes(RandomStates.now()) == (name,)
    before.restore()
    assert before.changes(RandomStates.now()) == ()
    assert DRAWS[name]() == first


def test_the_second_normal_number_of_a_pair_is_a_draw_too():
    np.random.standard_normal()
    before = RandomStates.now()
    np.random.standard_normal()
    assert before.changes(RandomStates.now()) == ("numpy",)
