"""A model made to be looked at is that of its seed, and nothing else is seeded."""

import torch

from compare.synthetic import TASK
from dropsmith.cli._model import model_and_batch


def test_the_model_hangs_on_the_seed_alone_and_torchs_generators_are_left(seeded_on_gpus):
    before = torch.get_rng_state()
    first, again, other = (
        torch.cat([one.flatten() for one in model_and_batch(TASK, None, seed)[0].parameters()])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded_on_gpus == []
