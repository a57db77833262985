"""Two processes on halves of a batch train as one process on the whole."""

import pytest
import torch
from torch import multiprocessing

from consistency.tiny import gradients, net, of_rows, of_tokens, token_net
from consistency.two_processes import BATCHES, OBJECTIVES, PLANS, train
from dropsmith.consistency import consistent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict]]:
    """What two processes have found, in the order of their ranks."""
    folder = tmp_path_factory.mktemp("ddp")
    multiprocessing.spawn(train, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def whole(name):
    """One process, all rows."""
    rows = name != "tokens"
    model = net() if rows else token_net()
    loss = of_rows if rows else of_tokens
    consistent(model, OBJECTIVES[name], loss=loss, plan=PLANS[name])
    x, labels = BATCHES[name]
    loss = model(x, labels=labels).loss
    loss.backward()
    return loss.detach(), gradients(model)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_averaged_gradients_equal_those_of_one_process_on_the_whole_batch(both, name):
    loss, expected = whole(name)
    for rank in (0, 1):
        torch.testing.assert_close(both[rank][name]["gradients"], expected, rtol=1e-5, atol=1e-7)
    mean = (both[0][name]["loss"] + both[1][name]["loss"]) / 2
    torch.testing.assert_close(mean, loss, rtol=1e-6, atol=1e-6)


def test_processes_with_ranks_of_their_own_draw_different_masks_for_the_same_rows(both):
    first, second = (found["ranked"]["logits"] for found in both)
    assert not torch.equal(first, second)
    assert both[0]["ranked"]["steps"] == both[1]["ranked"]["steps"] == 1
