"""Two processes on halves of a batch train as one on the whole: FSDP2, DistributedDataParallel."""

import pytest
import torch
from torch import multiprocessing

from adapters.by_hand import hand
from adapters.texts import batch, encoder, rows
from adapters.two_processes import CASES, train

pytestmark = pytest.mark.slow

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def both(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("fsdp")
    given = batch(rows(data_dir, "tokens", 8))
    multiprocessing.spawn(train, args=(str(folder), given), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)], given


@pytest.mark.parametrize("name", CASES)
def test_averaged_gradients_are_those_by_hand_on_the_whole_batch(both, name):
    found, given = both
    expected = hand(encoder(), given)
    mean = (found[0][name]["loss"] + found[1][name]["loss"]) / 2
    assert float(mean) == pytest.approx(expected.loss, rel=1e-5)
    for rank in (0, 1):
        for parameter, gradient in expected.gradients.items():
            ours = found[rank][name]["gradients"][parameter].double()
            torch.testing.assert_close(ours, gradient, rtol=1e-4, atol=1e-6)
