import pytest
import torch
from torch import nn

from dropsmith.kernels.once import once
from dropsmith.recurrent import GRU, LSTM, RNN

TWICE = "trying to differentiate twice"


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once
    def backward(ctx, *given):
        return given[0] * 3 * ctx.saved_tensors[0] ** 2


def gradient_of_a_sum(outputs, x):
    """Handed a constant, as a penalty on the gradient of a sum of scores hands it."""
    return torch.autograd.grad(outputs.sum(), x, create_graph=True)[0]


def test_a_gradient_of_the_gradient_is_an_error_and_not_left_out():
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    found = gradient_of_a_sum(Cube.apply(x), x)
    torch.testing.assert_close(found.detach(), torch.tensor([12.0, 27.0]))
    with pytest.raises(RuntimeError, match=TWICE):
        found.sum().backward()


def test_one_gradient_is_a_plain_tensor():
    x = torch.tensor([2.0], requires_grad=True)
    Cube.apply(x).backward()
    assert x.grad == 12.0
    assert not x.grad.requires_grad


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
@pytest.mark.parametrize("units", [8, 64])
def test_a_penalty_on_gradients_through_noise_on_the_state_is_an_error(kind, units):
    """Torch's own layers learn from it: to leave it out in silence would be another objective."""
    torch.manual_seed(0)
    layer, x = kind(units, units), torch.randn(40, 30, units, requires_grad=True)
    penalty = gradient_of_a_sum(layer(x)[0], x).square().sum()
    assert torch.autograd.grad(penalty, layer.weight_hh_l0)[0].any()
    output = layer(x, masks={"recurrent_l0": torch.ones(1, 1, 1, units)})[0]
    with pytest.raises(RuntimeError, match=TWICE):
        gradient_of_a_sum(output, x).square().sum().backward()


def test_a_penalty_through_layers_around_it_is_an_error_too():
    layer, before = LSTM(8, 8), nn.Linear(8, 8)
    x = torch.randn(4, 3, 8, requires_grad=True)
    output = layer(before(x), masks={"recurrent_l0": torch.ones(1, 1, 1, 8)})[0]
    with pytest.raises(RuntimeError, match=TWICE):
        gradient_of_a_sum(output, x).square().sum().backward()
