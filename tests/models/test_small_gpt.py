import pytest
import torch

import dropsmith as ds
from dropsmith.models.small_gpt import GPT_NOISES, SmallGPT, gpt_plan

pytest.importorskip("transformers")
TOKENS = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 1, 2, 0]])


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SmallGPT(words=12, window=9, width=16, heads=2).train()


def test_scores_do_not_hang_on_words_that_are_still_to_come(net):
    later = TOKENS.clone()
    later[:, 3:] = 11
    torch.testing.assert_close(net(TOKENS)[:, :3], net(later)[:, :3])
    assert not torch.allclose(net(TOKENS)[:, 3:], net(later)[:, 3:])


def test_it_has_no_noise_of_its_own(net):
    assert torch.equal(net(TOKENS), net(TOKENS))


@pytest.mark.parametrize("noise", GPT_NOISES)
def test_each_kind_of_noise_is_on_where_it_says(net, noise):
    batch = {"tokens": TOKENS.repeat(16, 1)}
    with gpt_plan(noise, 0.3).installed(net, batch):
        found = ds.audit(net, batch)
    on = [row.site.name for row in found.rows if row.how == "keyed" and row.on]
    # The embeddings and two branches of each of two layers; words alone, and branches alone.
    assert len(on) == {"words": 1, "path": 4}.get(noise, 5)
    assert found.outputs_differ
