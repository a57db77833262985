"""The LSTM's Triton kernel: what it refuses, what it does without, and what it holds."""

import copy
import pickle

import pytest
import torch
from torch import nn

from dropsmith.errors import KernelError, MissingExtra
from dropsmith.kernels.lstm import Graphs, Tiles, Triton, lstm, triton_graphs
from dropsmith.kernels.state_noise import NO_NOISE
from dropsmith.recurrent import convert, revert
from kernels.test_recurrent import arguments
from kernels.test_triton import in_a_process_of_its_own, needs_triton

pytestmark = pytest.mark.slow


@needs_triton
def test_without_a_gpu_it_is_an_error_that_names_the_device():
    args = arguments("lstm", 1, 1, 2, torch.float32)
    with pytest.raises(KernelError, match=r"GPU, but the input is on cpu\n.*kernel at None"):
        lstm(*args, NO_NOISE, Triton())


@needs_triton
def test_a_step_of_more_than_32_bits_of_offsets_is_an_error_that_names_its_sizes():
    args = arguments("lstm", 1, 1, 1, torch.float32)
    wide = torch.zeros(1).expand(1, 2**20, 4, 2**10)
    with pytest.raises(KernelError, match="1048576 rows and 1024 units is too large"):
        lstm(wide, *args[1:], NO_NOISE, Triton())


def test_without_triton_it_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr("dropsmith.kernels.lstm.triton.find_spec", lambda name: None)
    args = arguments("lstm", 1, 1, 2, torch.float32)
    with pytest.raises(MissingExtra, match=r"dropsmith\[triton\]"):
        lstm(*args, NO_NOISE, Triton())


def test_the_library_and_the_other_kernel_do_without_triton():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch, dropsmith\n"
        "from dropsmith.recurrent import LSTM\n"
        "layer = LSTM(2, 3)\n"
        "layer(torch.ones(2, 1, 2), masks={'recurrent_l0': torch.ones(1, 1, 1, 3)})\n"
        "print('ran')"
    )
    assert in_a_process_of_its_own("-c", code).split() == ["ran"]


@pytest.mark.parametrize("size", [8, 24])
def test_a_size_that_is_no_tile_is_an_error(size):
    with pytest.raises(KernelError, match=f"units={size} is no size of a tile"):
        Tiles(units=size)


def test_an_unknown_precision_is_an_error_that_names_the_known():
    with pytest.raises(KernelError, match="did you mean 'tf32'"):
        Triton(precision="tf3")  # pyright: ignore


def test_reverting_a_model_takes_the_kernel_with_it():
    model = nn.Sequential(nn.LSTM(2, 3))
    before = set(vars(model[0]))
    convert(model)
    model[0].kernel = Triton()  # pyright: ignore
    revert(model)
    assert set(vars(model[0])) == before


class Recorded:
    """Stands in for a capture: notes what it was made of and answers with its inputs."""

    def __init__(self, steps, settings, given) -> None:
        self.made_of = steps, settings

    def replay(self, given):
        return self.made_of, given


def test_captures_are_held_by_steps_settings_and_shapes_and_the_oldest_goes(monkeypatch):
    made = []
    monkeypatch.setattr(
        triton_graphs, "_Capture", lambda *given: made.append(given) or Recorded(*given)
    )
    graphs, one, two = Graphs(max_captures=2), torch.ones(1), torch.ones(2)

    def forward(*given):
        return given

    for settings, tensor in [(1, one), (1, 5 * one), (2, one), (1, one), (1, two), (2, one)]:
        assert graphs.run(forward, settings, (tensor, None)) == (
            (forward, settings),
            (tensor, None),
        )
    assert [(settings, len(given[0])) for _, settings, given in made] == [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 1),
    ]
    assert len(graphs._captures) == 2


def test_a_copy_of_captures_starts_empty():
    graphs = Graphs(max_captures=3)
    graphs._captures["one"] = None  # pyright: ignore
    for other in (copy.deepcopy(graphs), pickle.loads(pickle.dumps(graphs))):
        assert (other.max_captures, len(other._captures)) == (3, 0)
