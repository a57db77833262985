"""Wide products and the linear map made of them: those of float64, whatever lies how in memory."""

import pytest
import torch

from dropsmith.kernels.large_matmul import large_linear, large_matmul, onednn


def seeded(*sizes, seed=0):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def laid_out(matrix, how):
    """The same numbers, lying otherwise in memory."""
    if how == "transposed":
        return matrix.t().contiguous().t()
    if how == "gaps":
        return torch.stack([matrix, matrix], 1)[:, 0]
    return matrix


LAYOUTS = pytest.mark.parametrize("how", ["dense", "transposed", "gaps"])


@LAYOUTS
def test_a_product_is_that_of_float64(how):
    a, b = seeded(70, 90), seeded(80, 90, seed=1)
    exact = a.double() @ b.double().t()
    for found in (
        large_matmul(laid_out(a, how), b),
        large_matmul(a, laid_out(b, how)),
        large_matmul(laid_out(a, how), laid_out(b, how)),
    ):
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-4)


@LAYOUTS
@pytest.mark.parametrize("biased", [True, False])
def test_the_linear_map_and_its_gradients_are_those_of_float64(how, biased):
    x, weight = laid_out(seeded(30, 90), how), laid_out(seeded(80, 90, seed=1), how)
    bias, grad = seeded(80, seed=2) if biased else None, seeded(5, 6, 80, seed=3)

    def after(linear, double):
        given = [one.double() if double else one for one in (x, weight, bias) if one is not None]
        leaves = [one.detach().requires_grad_() for one in given]
        made = linear(leaves[0].unflatten(0, (5, 6)), *leaves[1:])
        made.backward(grad.to(made.dtype))
        return [made.detach(), *(leaf.grad for leaf in leaves)]

    got = after(large_linear, double=False)
    want = after(torch.nn.functional.linear, double=True)
    for one, exact in zip(got, want, strict=True):
        torch.testing.assert_close(one.double(), exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_only_gradients_that_are_asked_for_are_made(asked):
    leaves = [seeded(30, 90), seeded(80, 90), seeded(80)]
    leaves[asked].requires_grad_()
    large_linear(*leaves).sum().backward()
    assert [leaf.grad is not None for leaf in leaves] == [place == asked for place in range(3)]


def test_other_types_and_autocast_are_torchs_own(monkeypatch):
    monkeypatch.setattr(onednn, "linear", None)
    monkeypatch.setattr(onednn, "product", None)
    x, weight = seeded(30, 90), seeded(80, 90)
    assert large_linear(x.double(), weight.double()).dtype == torch.float64
    assert large_matmul(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert large_linear(x, weight).dtype == torch.bfloat16
    assert large_linear(x[:, :9], weight[:, :9]).shape == (30, 80)
