import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.models import SmallRegressor, regressor_plan
from dropsmith.models.small_regressor import REGRESSOR_NOISES
from dropsmith.passes.make_views import views

TEXTS = torch.tensor([[4, 5, 6, 7], [7, 3, 0, 0], [9, 0, 0, 0]])


def model(cell="lstm"):
    torch.manual_seed(0)
    return SmallRegressor(words=20, width=8, cell=cell)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_text_has_the_value_of_the_state_after_its_last_word_whatever_the_padding(cell):
    net = model(cell)
    for text, value in zip(TEXTS, net(TEXTS), strict=True):
        words = text[text != 0]
        _, state = net.layer(net.embedding(words)[None])
        hidden = state[0] if cell == "lstm" else state
        torch.testing.assert_close(value, net.head(hidden[0, 0]))


def test_padding_has_no_gradient():
    net = model()
    net(TEXTS).sum().backward()
    assert not net.embedding.weight.grad[0].any()
    assert net.embedding.weight.grad[9].any()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("noise", REGRESSOR_NOISES)
def test_every_kind_of_noise_changes_training_and_leaves_evaluation_alone(noise, cell):
    net = model(cell)
    clean = net(TEXTS)
    with regressor_plan(noise, 0.4).installed(net, TEXTS, seed=3):
        assert not torch.equal(net(TEXTS), clean)
        one, other = views(net, TEXTS, 2).outputs
        assert not torch.equal(one, other)
        assert torch.equal(net.eval()(TEXTS), clean)


def test_unknown_cells_and_noises_are_named_with_those_there_are():
    with pytest.raises(TaskError, match=r"no recurrent cell is called 'gur'[\s\S]*'gru'"):
        model("gur")
    with pytest.raises(TaskError, match="SmallRegressor has no place for noise 'blocks'"):
        regressor_plan("blocks", 0.1)


@pytest.mark.parametrize(
    ("noise", "times", "gates"),
    [("variational", 1, 1), ("variational-untied", 1, 4), ("naive", 6, 4)],
)
def test_how_often_state_masks_are_drawn_over_time_and_gates(monkeypatch, noise, times, gates):
    from dropsmith.kernels import lstm

    seen, own = [], lstm.lstm

    def watched(*args):
        seen.append(tuple(args[4].recurrent.shape))
        return own(*args)

    monkeypatch.setattr(lstm, "lstm", watched)
    net, texts = model(), torch.randint(1, 20, (3, 6))
    with regressor_plan(noise, 0.4).installed(net, texts):
        net(texts)
    assert seen[-1] == (times, 3, gates, 8)
