"""What autograd keeps is counted, and only what it keeps."""

import torch

from dropsmith.testing import kept_for_backward


def test_a_kept_mask_is_found():
    x, mask = torch.ones(4, 3, requires_grad=True), torch.ones(4, 1)
    with kept_for_backward() as kept:
        out = x * mask
    assert [tensor.shape for tensor in kept] == [(4, 1)]
    out.sum().backward()
    assert x.grad is not None


def test_what_keeps_nothing_is_silent():
    x = torch.ones(4, requires_grad=True)
    with kept_for_backward() as kept:
        x + 1
        torch.ones(4) * torch.ones(4)
    assert kept == []
