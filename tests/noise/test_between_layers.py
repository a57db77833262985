"""Recurrent layers run one by one give what torch's own call gives."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from dropsmith.errors import SiteError
from dropsmith.patterns import Bernoulli, DropConnect, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, ONES, TIME, WIDTH, copying_rnn, seeded

NEVER = Plan(rule("0.between()", Bernoulli(rate=0.0)))
CELLS = {
    "lstm": (nn.LSTM, {}),
    "lstm projected": (nn.LSTM, {"proj_size": 3}),
    "gru": (nn.GRU, {}),
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
}


def make(name, **settings):
    cell, own = CELLS[name]
    torch.manual_seed(0)
    return nn.ModuleList([cell(WIDTH, 6, 3, dropout=0.5, **own, **settings).double()])


def leaves(result):
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_rate_zero_equals_torchs_own_in_values_states_and_gradients(
    name, batch_first, bidirectional, bias
):
    net = make(name, batch_first=batch_first, bidirectional=bidirectional, bias=bias)
    x = seeded(4, 5, WIDTH).double()
    want = leaves(net.eval()[0](x))
    weights = [seeded(*part.shape).double() for part in want]

    def gradients(parts):
        loss = sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))
        return torch.autograd.grad(loss, list(net.parameters()))

    net.train()
    with NEVER.installed(net):
        got = leaves(net[0](x))
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(gradients(got), gradients(want))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_state_that_is_given_is_used_layer_by_layer(name):
    net = make(name, bidirectional=True)
    x, state = seeded(5, 4, WIDTH).double(), seeded(6, 4, 6, seed=3).double()
    state = (state, state + 1) if name == "lstm" else state
    want = leaves(net.eval()[0](x, state))
    with NEVER.installed(net.train()):
        torch.testing.assert_close(leaves(net[0](x, state)), want)


def test_a_sequence_without_a_batch_is_taken_too():
    net = make("gru")
    x = seeded(5, WIDTH).double()
    want = leaves(net.eval()[0](x))
    with NEVER.installed(net.train()):
        torch.testing.assert_close(leaves(net[0](x)), want)


def test_a_mask_shared_over_time_is_one_mask_for_each_sequence():
    net = nn.Sequential(copying_rnn())
    with Plan(rule("0.between()", Bernoulli(rate=0.5, shared="time"))).installed(net):
        y = net(ONES)[0]
    assert bool((y == y[:, :1]).all())
    assert not bool((y == y[:1]).all())


def test_the_last_layer_is_not_dropped():
    rnn = copying_rnn()
    nn.init.ones_(rnn.weight_ih_l1)
    net = nn.Sequential(rnn)
    with Plan(rule("0.between()", FLIPS)).installed(net):
        assert bool((net(ONES)[0] > 0).all())


def test_weights_and_layers_are_dropped_together():
    net = nn.Sequential(copying_rnn())
    plan = Plan(rule("0.between()", FLIPS), rule("0.weight_ih_l1", DropConnect(rate=0.5)))
    with plan.installed(net):
        y = net(torch.ones(64, TIME, WIDTH))[0].flatten(0, 1)
    assert y.unique().tolist() == [0, 4]
    # A unit that lost its weight is gone everywhere; the others come and go.
    lost = (y == 0).all(0)
    assert bool(lost.any())
    assert not bool(lost.all())
    kept = (y[:, ~lost] == 0).double()
    assert abs(kept.mean().item() - 0.5) < 5 * 0.5 / kept.numel() ** 0.5


def test_a_packed_sequence_has_no_axes_for_our_noise_but_may_be_retuned():
    net = nn.ModuleList([nn.LSTM(WIDTH, 6, 2, dropout=0.1)])
    packed = pack_padded_sequence(seeded(5, 3, WIDTH), torch.tensor([5, 4, 2]))
    with (
        Plan(rule("0.between()", FLIPS)).installed(net),
        pytest.raises(
            SiteError, match=r"PackedSequence has no batch[\s\S]*TorchDropout\(rate=\.\.\.\)"
        ),
    ):
        net[0](packed)
    with Plan(rule("0.between()", TorchDropout(rate=0.5))).installed(net):
        torch.manual_seed(0)
        first = net[0](packed)[0].data
        assert not torch.equal(first, net[0](packed)[0].data)
    assert net[0].dropout == 0.1
