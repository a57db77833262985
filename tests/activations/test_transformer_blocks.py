"""Transformer blocks are found by where attention runs, however lists lie in each other."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.activations.block_outputs import Reads
from dropsmith.activations.block_readings import read_blocks
from dropsmith.activations.transformer_blocks import block_candidates
from dropsmith.errors import SiteError
from noise.zoo import WIDTH, seeded, sentences, tiny_bert, tiny_gpt2

X = seeded(3, 5, WIDTH)


class Attends(nn.Module):
    """One head, all of whose projections are its own."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x):
        heads = (part(x).unsqueeze(1) for part in (self.query, self.key, self.value))
        return F.scaled_dot_product_attention(*heads).squeeze(1)


class ManyHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(Attends() for _ in range(2))

    def forward(self, x):
        return sum(head(x) for head in self.heads)


class Feed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH), nn.Dropout(0.5))


class Block(nn.Module):
    """Attention and feed-forward part in a list of their own, as T5 has them."""

    def __init__(self, attention=Attends):
        super().__init__()
        self.parts = nn.ModuleList([attention(), Feed()])

    def forward(self, x):
        for part in self.parts:
            x = x + part(x)
        return x


def read(model, *, hidden="block", batch=X, **more):
    with read_blocks(model, Reads(hidden=hidden, **more)) as found:
        model(**batch) if isinstance(batch, dict) else model(batch)
    return found.layers


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (nn.Sequential(Block(), Block()), ["0", "1"]),
        (nn.Sequential(Block(ManyHeads), Block(ManyHeads)), ["0", "1"]),
        (nn.Sequential(Attends(), Attends()), ["0", "1"]),
        (nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sequential(Block(), Block())), ["1.0", "1.1"]),
        (nn.Sequential(nn.Sequential(Block(), Block()), nn.Sequential(Block())),
         ["0.0", "0.1", "1.0"]),
    ],
)  # fmt: skip
def test_blocks_are_the_elements_that_attend_and_feed_forward(model, names):
    for _ in range(2):  # the second time where they were found
        assert [layer.name for layer in read(model)] == names


def test_a_block_that_runs_twice_is_two_layers():
    block = Block()
    model = nn.Sequential(block, block)
    assert [layer.name for layer in read(model)] == ["0", "0"]


def test_what_is_read_is_what_the_modules_return():
    torch.manual_seed(0)
    model = nn.Sequential(Block(), Block())
    first, second = (model[0].parts[1], model[1].parts[1])
    got = []
    for feed in (first, second):
        feed[2].register_forward_hook(lambda m, args, out: got.append(out))
    for layer, want in zip(read(model, hidden="feed-forward"), got, strict=True):
        assert layer.hidden is want
    whole = []
    for block in model:
        block.register_forward_hook(lambda m, args, out: whole.append(out))
    for layer, want in zip(read(model), whole, strict=True):
        assert layer.hidden is want
    assert all(layer.hidden is None for layer in read(model, hidden=None))


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_fused_and_written_attention_are_the_same_probabilities(make):
    from dropsmith.kernels.attention_divergence.reference import matrix

    fused, written = (read(make(how), batch=sentences()) for how in ("sdpa", "eager"))
    real = sentences()["attention_mask"].bool()
    for one, other in zip(fused, written, strict=True):
        (_, looks), (_, probabilities) = one.attention[0], other.attention[0]
        counted = real[:, None, :, None].expand_as(probabilities)
        torch.testing.assert_close(matrix(looks)[counted], probabilities[counted])


def test_multi_head_attention_shows_what_it_looks_at_with_all_its_masks():
    from dropsmith.kernels.attention_divergence.reference import matrix

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layers = nn.ModuleList(
                [nn.MultiheadAttention(WIDTH, 2, add_bias_kv=True, batch_first=True)]
            )

        def forward(self, x):
            causal = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
            padding = torch.zeros(x.shape[:2]).masked_fill(torch.arange(x.shape[1]) > 3, -torch.inf)
            self.weights = self.layers[0](
                *(x, x, x), attn_mask=causal, key_padding_mask=padding, average_attn_weights=False
            )[1]
            return x

    model = Masked()
    (layer,) = read(model, hidden=None)
    torch.testing.assert_close(matrix(layer.attention[0][1]), model.weights)


def test_reading_changes_no_draw_and_leaves_nothing_behind():
    model = nn.TransformerEncoderLayer(WIDTH, 2, 16, 0.5, batch_first=True)
    torch.manual_seed(1)
    want = model(X)
    torch.manual_seed(1)
    with read_blocks(model, Reads()) as found:
        got = model(X)
    assert torch.equal(got, want)
    assert found.layers[0].hidden is got
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_automatic_casting_is_the_calls_own():
    model = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    with read_blocks(model, Reads()) as found, torch.autocast("cpu", dtype=torch.bfloat16):
        model(X)
    assert found.layers[0].attention[0][1].query.dtype == torch.bfloat16


def test_a_feed_forward_part_that_cannot_be_told_is_refused():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.gate = Attends(), nn.Linear(WIDTH, 3)

        def forward(self, x):
            return self.attention(x) * self.gate(x).softmax(-1).sum(-1, keepdim=True)

    with pytest.raises(SiteError, match=r"'0' does not end[\s\S]*'0\.gate'[\s\S]*hidden_at="):
        read(nn.Sequential(Wide(), Wide()), hidden="feed-forward")


def test_attention_outside_any_list_asks_for_names_and_takes_them():
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), Block())
    with pytest.raises(SiteError, match=r"attention runs in 1\.parts\.0[\s\S]*name the blocks"):
        read(model)
    assert [layer.name for layer in read(model, blocks="1")] == ["1"]
    with pytest.raises(SiteError, match=r"no module is called 'blocks\.\*'"):
        read(model, blocks="blocks.*")


def test_a_model_without_attention_is_refused():
    with pytest.raises(SiteError, match="found no attention in a Sequential"):
        read(nn.Sequential(nn.Linear(WIDTH, WIDTH)))


def test_places_know_the_last_projection_below_them():
    assert {place.name: place.feed for place in block_candidates(tiny_gpt2())} == {
        "h.0": "h.0.mlp.c_proj",
        "h.1": "h.1.mlp.c_proj",
    }
