import math

import pytest
import torch
from torch.func import functional_call

import dropsmith as ds
from dropsmith.errors import TaskError
from dropsmith.models.transformer_xl import XL_NOISES, TransformerXL, shift_to_places, xl_plan
from dropsmith.passes.make_views import views

BOTH = pytest.mark.parametrize("norm_first", [False, True])


def model(**change):
    torch.manual_seed(0)
    settings = {"words": 11, "width": 8, "heads": 2, "layers": 2, "feed": 12, "memory": 20}
    net = TransformerXL(**settings | change).double()
    with torch.no_grad():
        # Zeros at first, where a mistake with them would not show.
        for layer in net.layers:
            layer.content_bias.normal_()
            layer.position_bias.normal_()
    return net


def text(rows=3, time=9, seed=1):
    return torch.randint(11, (rows, time), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("time", "places"), [(1, 1), (1, 4), (3, 3), (3, 8), (5, 6)])
def test_shifting_puts_the_score_of_each_distance_at_its_place(time, places):
    scores = torch.randn(2, 3, time, places, dtype=torch.float64)
    found = shift_to_places(scores)
    for row in range(time):
        stands = places - time + row
        for place in range(stands + 1):
            column = places - 1 - (stands - place)
            assert torch.equal(found[..., row, place], scores[..., row, column])


def wave(distance, width):
    angles = [distance / 10_000 ** (2 * i / width) for i in range(width // 2)]
    return torch.tensor([*map(math.sin, angles), *map(math.cos, angles)], dtype=torch.float64)


def attended(layer, memory, x):
    """One head, query and key at a time: the four terms of a score in the paper's section 3.3."""
    seen, width = torch.cat([memory, x], 1), x.shape[2]
    size, out = width // layer.heads, torch.zeros_like(x)
    for b in range(len(x)):
        for t in range(x.shape[1]):
            stands = memory.shape[1] + t
            for h in range(layer.heads):
                part = slice(h * size, (h + 1) * size)
                query = (layer.query.weight @ x[b, t])[part]
                scores = []
                for j in range(stands + 1):
                    key = (layer.key.weight @ seen[b, j])[part]
                    place = (layer.position @ wave(stands - j, width))[part]
                    u, v = layer.content_bias[h, 0], layer.position_bias[h, 0]
                    scores.append((query @ key + query @ place + u @ key + v @ place) / size**0.5)
                chances = torch.stack(scores).softmax(0)
                values = torch.stack(
                    [(layer.value.weight @ seen[b, j])[part] for j in range(stands + 1)]
                )
                out[b, t, part] = chances @ values
    return out @ layer.attended.weight.T


@torch.no_grad()
def test_attention_is_that_of_the_paper_written_as_a_loop():
    net, seen = model(), {}
    layer = net.layers[0]
    layer.attended.register_forward_hook(lambda m, args, out: seen.update(found=out))
    first, tokens = net(text(2, 4)), text(2, 5, seed=2)
    net(tokens, first.state)
    x = net.embedding(tokens) * 8**0.5
    torch.testing.assert_close(seen["found"], attended(layer, first.state[0], x))


@BOTH
def test_a_text_read_in_segments_has_the_scores_of_one_long_pass(norm_first):
    net, tokens, state, found = model(norm_first=norm_first), text(time=12), None, []
    for segment in tokens.split([5, 1, 4, 2], dim=1):
        scores = net(segment, state)
        state, found = scores.state, [*found, scores.logits]
    whole = net(tokens)
    torch.testing.assert_close(torch.cat(found, 1), whole.logits, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, whole.state, rtol=1e-12, atol=1e-12)


@BOTH
def test_words_still_to_come_change_no_score(norm_first):
    net, tokens = model(norm_first=norm_first), text()
    state = net(text(seed=5)).state
    later = tokens.clone()
    later[:, 4:] = (later[:, 4:] + 1) % 11
    before, after = net(tokens, state).logits, net(later, state).logits
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_the_memory_is_what_entered_each_layer_last_and_has_no_gradient():
    net, entered = model(memory=4), []
    for layer in net.layers:
        layer.register_forward_pre_hook(lambda m, args: entered.append(args[0]))
    tokens = text(time=9)
    state = net(tokens[:, 3:], net(tokens[:, :3]).state).state
    for memory, x in zip(state, entered[2:], strict=True):
        assert torch.equal(memory, x[:, -4:])
        assert not memory.requires_grad


def test_a_memory_grows_to_its_length_and_no_further():
    net, state, lengths = model(memory=7), None, []
    for segment in text(time=12).split(3, dim=1):
        state = net(segment, state).state
        lengths.append(state[0].shape[1])
    assert lengths == [3, 6, 7, 7]


def test_without_memory_every_segment_is_read_by_itself():
    net, tokens = model(memory=0), text()
    state = net(tokens).state
    assert [memory.shape[1] for memory in state] == [0, 0]
    assert torch.equal(net(tokens, state).logits, net(tokens).logits)


@BOTH
def test_gradients_are_those_of_finite_differences(norm_first):
    net, tokens = model(layers=1, width=4, feed=3, norm_first=norm_first), text(2, 3)
    state = net(text(2, 2, seed=3)).state
    names = [name for name, _ in net.named_parameters()]

    def loss(*values):
        scores = functional_call(net, dict(zip(names, values, strict=True)), (tokens, state))
        return scores.logits.square().mean()

    assert torch.autograd.gradcheck(loss, tuple(net.parameters()))


def test_no_gradient_reaches_the_segment_before():
    net = model()
    entering = []
    net.embedding.register_forward_hook(lambda m, args, out: entering.append(out))
    net(text(seed=2), net(text()).state).logits.sum().backward(inputs=entering)
    assert entering[0].grad is None
    assert entering[1].grad is not None


def test_a_model_of_the_papers_size_on_penn_treebank_has_24_million_parameters():
    with torch.device("meta"):
        net = TransformerXL(words=10_000, width=400, heads=10, layers=12, feed=1080, memory=150)
    found = sum(parameter.numel() for parameter in net.parameters())
    table, square, norms = 10_000 * 400, 400**2, 4 * 400
    # Query, key, value, position, output; two feed-forward matrices with their biases; u and v.
    layer = 5 * square + 2 * 400 * 1080 + 1080 + 400 + norms + 2 * 400
    assert found == table + 10_000 + 12 * layer == 24_024_560


def test_the_head_is_the_embedding():
    net = model()
    assert net.head.weight is net.embedding.weight


def test_every_projection_and_both_sides_of_every_sum_are_sites():
    net = model().float()
    batch = {"tokens": text(), "state": net(text(time=4)).state}
    found = {site.name: site for site in ds.sites(net, batch)}
    # Keys and values are of the memory, too.
    times = {"key": 13, "value": 13}
    for place in (
        *("query", "key", "value", "attended", "attention_shortcut"),
        *("feed", "fed", "feed_shortcut"),
    ):
        site = found[f"layers.1.{place}"]
        assert site.axes == ("batch", "time", "unit")
        assert site.sizes == (3, times.get(place, 9), 12 if place == "feed" else 8)
    assert found["layers.0.attention()"].axes == ("batch", "head", "time", "time")


def test_it_has_no_noise_of_its_own():
    net = model().train()
    assert torch.equal(net(text()).logits, net(text()).logits)


@pytest.mark.parametrize("noise", XL_NOISES)
def test_each_kind_of_noise_is_on_where_it_says(noise):
    net, batch = model(norm_first=True).float(), {"tokens": text(32)}
    with xl_plan(noise, 0.3).installed(net, batch):
        found = ds.audit(net, batch)
    on = [row.site.name for row in found.rows if row.how == "keyed" and row.on]
    # Embedding and head, and two branches of each of two layers.
    assert len(on) == {"words": 1, "path": 4}.get(noise, 6)
    assert found.outputs_differ


def test_stacked_views_start_from_one_memory_and_equal_looped_ones():
    net = model(norm_first=True).float()
    batch = {"tokens": text(), "state": net(text(time=4)).state}
    with xl_plan("locked", 0.3).installed(net, batch, seed=3):
        looped = views(net, batch, 2, mode="looped")
        ds.step(net, 0)
        stacked = views(net, batch, 2, mode="stacked")
    for one, two in zip(looped.logits, stacked.logits, strict=True):
        torch.testing.assert_close(one, two)
    assert not torch.allclose(looped.logits[0], looped.logits[1])


def test_mixed_precision_stays_near():
    net = model(norm_first=True).float().eval()
    state = net(text()).state
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(text(seed=4), state).logits
    torch.testing.assert_close(found.float(), net(text(seed=4), state).logits, rtol=0.1, atol=0.3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 9, "heads": 3}, "a width of 9"),
        ({"width": 8, "heads": 3}, "3 heads"),
        ({"memory": -1}, "memory is a number of words"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(TaskError, match=said):
        model(**settings)
