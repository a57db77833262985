"""A product whose mask is drawn again in backward."""

import torch

from dropsmith.patterns._again import SMALL, times
from dropsmith.testing import record_saved_tensors


def test_the_mask_is_drawn_once_forward_and_once_backward():
    drawn = []

    def draw():
        drawn.append(None)
        return torch.tensor([0.0, 2.0, 2.0])

    x = torch.ones(3, requires_grad=True)
    out = times(x, draw)
    assert len(drawn) == 1
    out.sum().backward()
    assert len(drawn) == 2
    assert x.grad is not None
    assert x.grad.tolist() == out.tolist() == [0.0, 2.0, 2.0]


def test_nothing_is_kept():
    x = torch.ones(3, requires_grad=True)
    with record_saved_tensors() as kept:
        times(x, lambda: torch.tensor([0.0, 2.0, 2.0]))
    assert kept == []


def test_a_mask_that_is_far_smaller_than_what_it_multiplies_is_drawn_once():
    drawn = []

    def draw():
        drawn.append(None)
        return torch.tensor([[0.0], [2.0]])

    x = torch.ones(2, SMALL, requires_grad=True)
    out = times(x, draw)
    (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert len(drawn) == 1
    assert first.tolist() == [[0.0] * SMALL, [8.0] * SMALL]
    assert second.tolist() == [[0.0] * SMALL, [8.0] * SMALL]


def test_the_result_has_the_type_of_the_input():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert times(torch.ones(3, dtype=dtype), lambda: torch.ones(3)).dtype == dtype
