"""Lazy tensors have the numbers that the plain operation computes, however they are used."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F

from dropsmith.errors import KernelError
from dropsmith.kernels.lazy_logits import Head, HeadScores, LazyTensor


def drawn(*sizes, seed=0):
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(biased=True):
    """Hidden states, weight and bias; the lazy scores, and the plain ones."""
    tensors = [drawn(4, 5, 3), drawn(7, 3, seed=1), drawn(7, seed=2)]
    hidden, weight, bias = (x.requires_grad_() for x in tensors)
    bias = bias if biased else None
    return (hidden, weight), HeadScores.of(hidden, Head.of(weight, bias)), (hidden, weight, bias)


LATER = {
    "view": lambda z: z.view(-1, 7),
    "view by a tuple": lambda z: z.view((20, z.size(-1))),
    "reshape": lambda z: z.reshape(2, 10, 7),
    "all but the last": lambda z: z[..., :-1, :],
    "first rows": lambda z: z[:2],
    "shifted": lambda z: z[:, 1:, :].contiguous().view(-1, 7),
    "narrow": lambda z: z.float(),
    "to": lambda z: z.to(torch.float32),
    "with a constant": lambda z: z + drawn(1, 7, seed=3),
    "cross-entropy": lambda z: F.cross_entropy(z.view(-1, 7), torch.arange(20) % 7),
}
NOW = {
    "softmax": lambda z: z.softmax(-1),
    "columns": lambda z: z[..., 2:4],
    "one item": lambda z: z[0],
    "where": lambda z: z[z > 0],
    "another last size": lambda z: z.view(4, 35),
    "argmax": lambda z: z.argmax(-1),
    "times": lambda z: z * 2,
    "by item": lambda z: z + drawn(4, 5, 1, seed=3),
    "stacked": lambda z: torch.stack([z, z]),
    "each loss": lambda z: F.cross_entropy(z.flatten(0, 1), torch.arange(20) % 7, reduction="none"),
    "in place": lambda z: (z + 0).mul_(3),
    "as an array": lambda z: torch.from_numpy(z.detach().numpy()),
    "a copy": lambda z: copy.deepcopy(z.detach()),
    "by pickle": lambda z: pickle.loads(pickle.dumps(z.detach())),
}


@pytest.mark.parametrize("name", [*LATER, *NOW])
@pytest.mark.parametrize("biased", [True, False])
def test_every_operation_gives_what_it_gives_on_plain_scores(name, biased):
    inputs, scores, (hidden, weight, bias) = made(biased)
    operation = (LATER | NOW)[name]
    found, expected = operation(scores), operation(F.linear(hidden, weight, bias))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert (isinstance(found, LazyTensor) and scores.is_pending) == (name in LATER)
    assert found.requires_grad == expected.requires_grad
    if expected.requires_grad:
        grads = torch.autograd.grad((found * found).sum(), inputs)
        others = torch.autograd.grad((expected * expected).sum(), inputs)
        torch.testing.assert_close(grads, others)
    plain = found.materialise() if isinstance(found, LazyTensor) else found
    assert torch.equal(plain, expected)


def test_what_can_be_asked_from_outside_makes_nothing():
    _, scores, _ = made()
    assert (scores.shape, scores.ndim, len(scores), scores.size(-1)) == ((4, 5, 7), 3, 4, 7)
    assert (scores.dtype, scores.device.type, scores.numel()) == (torch.float64, "cpu", 140)
    assert scores.requires_grad
    assert scores.is_floating_point()
    assert {scores: 1}[scores] == 1
    assert scores.is_pending
    assert "tensor" in repr(scores)
    assert not scores.is_pending


def test_looking_at_a_part_shows_in_the_whole_and_the_other_way():
    for first in (0, 1):
        _, scores, _ = made()
        pair = (scores, scores.view(-1, 7))
        pair[first].sum()
        assert not any(one.is_pending for one in pair)


def test_a_change_in_place_reaches_every_view_of_the_scores():
    _, scores, (hidden, weight, bias) = made()
    flat, plain = scores.view(-1, 7), F.linear(hidden, weight, bias)
    flat[:, 0] = 0
    plain.view(-1, 7)[:, 0] = 0
    assert torch.equal(scores + 0, plain)


def test_parts_cut_for_views_do_not_make_one_another():
    _, scores, (hidden, weight, bias) = made()
    first, second = scores.cut([1, 3], 0)
    assert torch.equal(first + 0, F.linear(hidden[:1], weight, bias))
    assert second.is_pending


def test_parts_of_scores_that_were_made_without_gradients_have_none():
    with torch.no_grad():
        _, scores, _ = made()
    assert not any(part.requires_grad for part in scores.cut([1, 3], 0))


@pytest.mark.parametrize("name", LATER)
def test_looking_without_gradients_first_takes_none_away(name):
    inputs, scores, (hidden, weight, bias) = made()
    found = LATER[name](scores)
    with torch.no_grad():
        assert not (found + 0).requires_grad
    grads = torch.autograd.grad(found.square().sum(), inputs)
    others = torch.autograd.grad(LATER[name](F.linear(hidden, weight, bias)).square().sum(), inputs)
    torch.testing.assert_close(grads, others)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


def test_autograd_functions_of_others_keep_the_graph():
    inputs, scores, (hidden, weight, bias) = made()
    found = torch.autograd.grad(Twice.apply(scores.float()).square().sum(), inputs)
    plain = F.linear(hidden, weight, bias).float()
    expected = torch.autograd.grad((2 * plain).square().sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_autocast_is_remembered_from_when_the_head_was_called():
    hidden, weight = drawn(4, 3).float(), drawn(7, 3, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        scores = HeadScores.of(hidden, Head.of(weight, None))
        expected = F.linear(hidden, weight)
    assert scores.dtype == torch.bfloat16
    assert torch.equal(scores + 0, expected)


def test_scores_of_a_weight_that_has_changed_are_an_error():
    _, scores, (_, weight, _) = made()
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(KernelError, match="use the logits before the optimiser's step"):
        scores.sum()
