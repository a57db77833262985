import copy
import pickle

import pytest
import torch
from torch import nn

from dropsmith.errors import TaskError
from dropsmith.models import RecurrentLM
from dropsmith.passes.make_views import views

TOKENS = torch.tensor([[1, 2, 3, 1, 4, 2], [5, 5, 1, 2, 0, 3], [3, 2, 1, 0, 4, 6]])


def model(**change):
    torch.manual_seed(0)
    settings = {"words": 7, "embedding_width": 4, "widths": (6, 5, 4)} | change
    return RecurrentLM(**settings)


def parameters(**settings):
    with torch.device("meta"):
        net = RecurrentLM(**settings)
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("published", "settings"),
    [
        (19_780_400, {"words": 10_000, "embedding_width": 650, "widths": (650, 650)}),
        (66_034_000, {"words": 10_000, "embedding_width": 1500, "widths": (1500, 1500)}),
        (
            24_221_600,
            {"words": 10_000, "embedding_width": 400, "widths": (1150, 1150, 400), "tied": True},
        ),
        (
            33_556_078,
            {"words": 33_278, "embedding_width": 400, "widths": (1150, 1150, 400), "tied": True},
        ),
        (9_997_440, {"words": 10_000, "embedding_width": 655, "widths": (655,), "tied": True}),
    ],
    ids=["gal-medium", "gal-large", "awd-ptb", "awd-wt2", "fraternal-one-layer"],
)
def test_the_papers_models_have_as_many_parameters_as_published(published, settings):
    assert parameters(**settings) == published


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_scores_are_those_of_torchs_layers_one_after_the_other(cell):
    net = model(cell=cell)
    x = net.embedding(TOKENS)
    for layer in net.layers:
        native = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](
            layer.input_size, layer.hidden_size, batch_first=True
        )
        native.load_state_dict(layer.state_dict())
        x, _ = native(x)
    found = net(TOKENS)
    torch.testing.assert_close(found.raw, x)
    torch.testing.assert_close(found.logits, x @ net.head.weight.T + net.head.bias)
    assert found.dropped is found.raw


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_text_read_in_two_windows_has_the_scores_of_one(cell):
    net = model(cell=cell)
    whole, first = net(TOKENS), net(TOKENS[:, :4])
    rest = net(TOKENS[:, 4:], first.state)
    parts = {"lstm": 2, "gru": 1}[cell]
    assert [tuple(part.shape) for part in first.state] == [
        (3, width) for width in (6, 5, 4) for _ in range(parts)
    ]
    torch.testing.assert_close(torch.cat([first.logits, rest.logits], 1), whole.logits)
    torch.testing.assert_close(rest.state, whole.state)


def test_a_window_without_a_state_starts_from_zeros():
    net = model()
    zeros = tuple(torch.zeros_like(part) for part in net(TOKENS).state)
    torch.testing.assert_close(net(TOKENS, zeros), net(TOKENS))


def test_a_tied_head_is_the_embedding():
    net = model(tied=True)
    assert net.head.weight is net.embedding.weight
    assert len(list(net.parameters())) == len(list(model().parameters())) - 1


def test_all_parameters_are_drawn_from_zarembas_interval():
    net = model(words=200, embedding_width=64, widths=(64, 64), uniform=0.05)
    for name, parameter in net.named_parameters():
        # 256 draws and more: the chance that none is in the outer fifth is below 1e-24.
        assert 0.8 * 0.05 < float(parameter.detach().abs().max()) <= 0.05, name


def test_awd_lstm_draws_tables_wider_than_layers_and_starts_without_a_bias():
    net = model(words=200, embedding_width=256, widths=(256,), tied=True)
    assert not net.head.bias.any()
    assert 0.09 < float(net.embedding.weight.detach().abs().max()) <= 0.1
    assert 0.05 < float(net.layers[0].weight_hh_l0.detach().abs().max()) <= 256**-0.5


def test_views_of_a_carried_window_start_from_the_same_state():
    net = model()
    state = tuple(part.detach() for part in net(TOKENS).state)
    batch = {"tokens": TOKENS, "state": state}
    made = views(net, batch, 2, mode="stacked")
    alone = net(**batch)
    for output in made.outputs:
        torch.testing.assert_close(output.logits, alone.logits)
        torch.testing.assert_close(output.state, alone.state)


def test_it_can_be_copied_and_pickled_after_use():
    net = model()
    before = net(TOKENS).logits
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(TOKENS).logits, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"cell": "lsmt"},
            "no recurrent cell is called 'lsmt'\n.*lstm, gru\n.*did you mean 'lstm'",
        ),
        ({"widths": ()}, "at least one layer"),
        ({"tied": True, "widths": (6, 5)}, "as wide as the embedding, got 5 and 4"),
    ],
)
def test_a_model_that_cannot_be_says_what_to_change(change, message):
    with pytest.raises(TaskError, match=message):
        model(**change)
