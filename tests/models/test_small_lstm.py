import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.models.small_lstm import LSTM_NOISES

TOKENS = torch.randint(0, 20, (3, 7), generator=torch.Generator().manual_seed(0))


def model(tied=True):
    torch.manual_seed(0)
    return SmallLSTM(words=20, width=8, tied=tied)


@pytest.mark.parametrize("tied", [True, False])
def test_the_scores_are_those_of_the_lstm_equations_written_out(tied):
    net = model(tied)
    weights = dict(net.lstm.named_parameters())
    for row, scores in zip(TOKENS, net(TOKENS).logits, strict=True):
        state, cell = torch.zeros(8), torch.zeros(8)
        for place, token in enumerate(row):
            gates = weights["weight_ih_l0"] @ net.embedding.weight[token] + weights["bias_ih_l0"]
            gates = gates + weights["weight_hh_l0"] @ state + weights["bias_hh_l0"]
            let_in, forget, new, out = gates.chunk(4)
            cell = forget.sigmoid() * cell + let_in.sigmoid() * new.tanh()
            state = out.sigmoid() * cell.tanh()
            table = net.embedding.weight if tied else net.head.weight
            torch.testing.assert_close(scores[place], table @ state + net.head.bias)


def test_tied_scores_share_the_embedding_and_its_gradient():
    net = model()
    assert net.head.weight is net.embedding.weight
    assert len(list(net.parameters())) == len(list(model(tied=False).parameters())) - 1


def test_a_score_depends_on_no_later_word():
    net, changed = model(), TOKENS.clone()
    changed[:, 4:] = 1
    torch.testing.assert_close(net(TOKENS).logits[:, :4], net(changed).logits[:, :4])


def test_a_text_read_in_two_windows_has_the_scores_of_one():
    net = model()
    whole, first = net(TOKENS), net(TOKENS[:, :3])
    rest = net(TOKENS[:, 3:], first.state)
    assert [tuple(part.shape) for part in first.state] == [(3, 1, 8), (3, 1, 8)]
    torch.testing.assert_close(torch.cat([first.logits, rest.logits], 1), whole.logits)
    torch.testing.assert_close(rest.state, whole.state)


@pytest.mark.parametrize("noise", LSTM_NOISES)
def test_every_kind_of_noise_changes_training_and_leaves_evaluation_alone(noise):
    net = model()
    clean = net(TOKENS).logits
    with lstm_plan(noise, 0.4).installed(net, TOKENS, seed=3):
        assert not torch.equal(net(TOKENS).logits, clean)
        assert torch.equal(net.eval()(TOKENS).logits, clean)


def test_locked_noise_drops_the_same_units_at_every_step_and_dropout_does_not():
    for noise, same in (("locked", True), ("dropout", False)):
        net, seen = model(), []
        with lstm_plan(noise, 0.5).installed(net, TOKENS, seed=3):
            net.embedding.register_forward_hook(lambda m, a, out, seen=seen: seen.append(out == 0))
            net(TOKENS)
        assert bool((seen[0] == seen[0][:, :1]).all()) == same


def test_an_unknown_noise_is_named_with_those_there_are():
    with pytest.raises(TaskError, match="SmallLSTM has no place for noise 'blocks'"):
        lstm_plan("blocks", 0.1)
