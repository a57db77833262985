"""Two processes on halves of a batch train a noisy layer as one process on the whole."""

import pytest
import torch
from torch import multiprocessing

from recurrent.two_processes import PLAN, X, gradients, layer, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What two processes have found, in the order of their ranks."""
    folder = tmp_path_factory.mktemp("ddp")
    multiprocessing.spawn(train, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_averaged_gradients_equal_those_of_one_process_on_the_whole_batch(both):
    net = layer()
    with PLAN.installed(net, X, seed=1):
        expected = gradients(net, net, X)
    for found in both:
        torch.testing.assert_close(found["gradients"], expected, rtol=1e-5, atol=1e-7)


def test_ranks_draw_masks_of_their_own(both):
    assert not torch.equal(both[0]["output"], both[1]["output"])
