import math

import pytest
import torch
import torch.nn.functional as F

from dropsmith.errors import TaskError
from dropsmith.models import SmallTransformer, transformer_plan
from dropsmith.models.small_transformer import TRANSFORMER_NOISES

TOKENS = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 0, 0, 0], [2, 2, 3, 0, 0]])


def model(layers=2, width=8, heads=2):
    torch.manual_seed(0)
    return SmallTransformer(
        words=20, classes=3, length=6, width=width, heads=heads, layers=layers
    ).train()


def one_text(net, tokens):
    """The scores of one text without padding, head by head and word by word."""
    x = net.embedding.weight[tokens] + net.position.weight[: len(tokens)]
    for layer in net.layers:
        normed = layer.before_attention(x)
        mixed = []
        for head in range(layer.heads):
            size = x.shape[1] // layer.heads
            own = slice(head * size, (head + 1) * size)
            q, k, v = (part(normed)[:, own] for part in (layer.query, layer.key, layer.value))
            mixed.append(torch.softmax(q @ k.T / math.sqrt(size), dim=-1) @ v)
        x = x + layer.attended(torch.cat(mixed, dim=-1))
        x = x + layer.fed(F.gelu(layer.feed(layer.before_feed(x))))
    return net.head(net.norm(x).mean(0))


def test_the_scores_are_those_of_each_text_alone_by_the_definition():
    net = model()
    for row, scores in zip(TOKENS, net(TOKENS), strict=True):
        torch.testing.assert_close(scores, one_text(net, row[row != 0]))


def test_more_padding_changes_nothing():
    net = model()
    wider = torch.cat([TOKENS, torch.zeros(3, 1, dtype=torch.long)], dim=1)
    torch.testing.assert_close(net(TOKENS), net(wider))


def test_a_text_without_words_has_finite_scores_and_gradients():
    net = model()
    net(torch.zeros(2, 4, dtype=torch.long)).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_a_pair_is_scored_by_the_means_of_its_texts_their_distance_and_their_product():
    torch.manual_seed(0)
    net = SmallTransformer(words=20, classes=1, length=6, width=8, heads=2, pairs=True)
    single = model()
    single.load_state_dict(
        {k: v for k, v in net.state_dict().items() if "head" not in k}, strict=False
    )
    single.head = torch.nn.Identity()
    second = TOKENS.flip(0)
    u = torch.stack([one_text(single, row[row != 0]) for row in TOKENS])
    v = torch.stack([one_text(single, row[row != 0]) for row in second])
    wanted = net.head(torch.cat([u, v, (u - v).abs(), u * v], 1))
    torch.testing.assert_close(net(TOKENS, second), wanted)


def test_training_and_evaluation_run_the_same_path():
    net = model()
    with torch.no_grad():
        assert torch.equal(net.train()(TOKENS), net.eval()(TOKENS))


@pytest.mark.parametrize("noise", TRANSFORMER_NOISES)
def test_every_kind_of_noise_changes_training_and_leaves_evaluation_alone(noise):
    net = model()
    clean = net(TOKENS)
    with transformer_plan(noise, 0.4).installed(net, TOKENS, seed=3):
        assert not torch.equal(net(TOKENS), clean)
        assert torch.equal(net.eval()(TOKENS), clean)


def test_path_noise_leaves_out_whole_branches_for_whole_texts():
    net, seen = model(), []
    with transformer_plan("path", 0.5).installed(net, TOKENS, seed=5):
        for layer in net.layers:
            for part in (layer.attended, layer.fed):
                part.register_forward_hook(lambda m, a, out: seen.append((out == 0).flatten(1)))
        net(TOKENS)
    rows = torch.cat([branch.all(1) for branch in seen])
    assert rows.any()
    assert not rows.all()
    assert torch.equal(rows, torch.cat([branch.any(1) for branch in seen]))


def test_an_unknown_noise_is_named_with_those_there_are():
    with pytest.raises(TaskError, match=r"'word'[\s\S]*did you mean 'words'"):
        transformer_plan("word", 0.1)


@pytest.mark.parametrize("pairs", [False, True])
def test_views_that_share_the_lower_layer_are_those_of_whole_passes(pairs):
    import dropsmith as ds

    torch.manual_seed(0)
    net = SmallTransformer(words=20, classes=3, length=6, width=8, heads=2, pairs=pairs).double()
    plan = ds.Plan(ds.rule("layers.1.*", ds.Bernoulli(rate=0.4)))
    batch = {"tokens": TOKENS} | ({"second": TOKENS.flip(0)} if pairs else {})
    found = []
    with plan.installed(net.train()):
        for trunk in (None, "layers.1"):
            ds.step(net, 0)
            found.append(ds.views(net, batch, 2, trunk=trunk).outputs)
    torch.testing.assert_close(*found)
    assert not torch.equal(*found[0])
