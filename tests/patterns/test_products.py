"""A product whose mask is drawn again in backward where it is large."""

import pytest
import torch

from dropsmith.kernels.self_adjoint import LARGEST_MASK
from dropsmith.patterns._products import SMALL, times
from dropsmith.testing import record_saved_tensors


def counting(mask):
    """A function that returns a mask, and a list of its calls."""
    calls = []

    def draw():
        calls.append(None)
        return mask

    return draw, calls


@pytest.mark.parametrize(("bytes_more", "times_drawn"), [(0, 1), (4, 2)])
def test_a_mask_is_drawn_again_in_backward_where_it_is_large(bytes_more, times_drawn):
    mask = torch.arange((LARGEST_MASK + bytes_more) // 4).remainder(2).float() * 2
    draw, calls = counting(mask)
    x = torch.ones_like(mask).requires_grad_()
    with record_saved_tensors() as kept:
        out = times(x, draw)
    assert len(calls) == 1
    assert len(kept) == 2 - times_drawn
    out.sum().backward()
    assert len(calls) == times_drawn
    assert x.grad is not None
    assert torch.equal(x.grad, mask)
    assert torch.equal(out, mask)


def test_a_mask_that_is_far_smaller_than_what_it_multiplies_is_drawn_once():
    rows = LARGEST_MASK // 4 + 2
    mask = torch.arange(rows).remainder(2).float()[:, None] * 2
    draw, drawn = counting(mask)
    x = torch.ones(rows, SMALL, requires_grad=True)
    out = times(x, draw)
    (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert len(drawn) == 1
    assert torch.equal(first, (2 * mask.square()).expand_as(x))
    assert torch.equal(second, (2 * mask.square()).expand_as(x))


def test_the_result_has_the_type_of_the_input():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert times(torch.ones(3, dtype=dtype), lambda: torch.ones(3)).dtype == dtype
