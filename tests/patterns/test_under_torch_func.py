"""Patterns under the function transforms of torch, held to loops and to masks drawn by hand."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from dropsmith.axes import Axes
from dropsmith.errors import NoiseError
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    Gaussian,
    PerView,
    StochasticDepth,
    Tiles,
    WordDropout,
)
from dropsmith.rng import Key, Source

# Torch's own, at the first forward-mode derivative.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
NAMES = ("batch", "channel", "height", "width")
SIZES = (4, 3, 5, 6)
AXES = Axes(NAMES, SIZES)
KEYS = (Key.of(1).fold(2), Key.of(1).fold(3))
SOURCES = tuple(Source(key) for key in KEYS)
ON_IMAGES = [
    Bernoulli(rate=0.4),
    Bernoulli(rate=0.4, shared="height width"),
    PerView(rates=(0.2, 0.5)),
    Gaussian(rate=0.3),
    StochasticDepth(rate=0.5),
    DropBlock(rate=0.3, size=2),
    Tiles(size=2, stride=1),
    Tiles(size=1, stride=1, rotate=30),
    Tiles(size=1, stride=2, repeat=2, fresh="height"),
]
every = pytest.mark.parametrize("pattern", ON_IMAGES, ids=repr)


def seeded(*sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def mask_of(pattern, *indices: int) -> Tensor:
    """The mask of an example of `vmap`, drawn outside of any transform."""
    key = KEYS[0].example(*indices) if indices else KEYS[0]
    return pattern.draw(AXES, Source(key)).double()


@every
def test_derivatives_are_those_of_the_mask(pattern):
    x, tangent, mask = seeded(*SIZES), seeded(*SIZES).flip(0), mask_of(pattern)

    def curved(x):
        return (pattern.drop(x.square(), NAMES, SOURCES[:1]) ** 2).sum()

    want = 4 * x**3 * mask**2
    torch.testing.assert_close(grad(curved)(x), want)
    torch.testing.assert_close(vjp(curved, x)[1](torch.tensor(1.0).double())[0], want)
    value, slope = jvp(curved, (x,), (tangent,))
    torch.testing.assert_close(value, (x**4 * mask**2).sum())
    torch.testing.assert_close(slope, (want * tangent).sum())
    second = jvp(grad(curved), (x,), (tangent,))[1]
    torch.testing.assert_close(second, 12 * x**2 * mask**2 * tangent)
    twice = grad(lambda x: (grad(curved)(x) * tangent).sum())(x)
    torch.testing.assert_close(twice, 12 * x**2 * mask**2 * tangent)


@every
def test_examples_of_the_same_randomness_share_one_mask(pattern):
    x = seeded(3, *SIZES)
    dropped = vmap(lambda row: pattern.drop(row, NAMES, SOURCES[:1]), randomness="same")(x)
    torch.testing.assert_close(dropped, x * mask_of(pattern))


@every
def test_examples_of_different_randomness_have_masks_of_their_own(pattern):
    x = seeded(3, *SIZES)
    want = torch.stack([mask_of(pattern, index).expand(SIZES) for index in range(3)])
    assert not torch.equal(want[0], want[1])

    def loss(row):
        return pattern.drop(row, NAMES, SOURCES[:1]).sum()

    def dropped(row):
        return pattern.drop(row, NAMES, SOURCES[:1])

    torch.testing.assert_close(vmap(dropped, randomness="different")(x), x * want)
    torch.testing.assert_close(vmap(grad(loss), randomness="different")(x), want)
    total = grad(lambda x: vmap(loss, randomness="different")(x).sum())(x)
    torch.testing.assert_close(total, want)


@every
def test_two_views_are_dropped_by_two_keys(pattern):
    x = seeded(2 * SIZES[0], *SIZES[1:])
    want = pattern.masks(tuple(x.shape), NAMES, SOURCES).double().expand(x.shape)
    gradient = grad(lambda x: pattern.drop(x, NAMES, SOURCES).sum())(x)
    torch.testing.assert_close(gradient, want)


@every
def test_noise_that_vmap_forbids_is_refused(pattern):
    with pytest.raises(NoiseError, match="randomness='different'"):
        vmap(lambda row: pattern.drop(row, NAMES, SOURCES[:1]))(seeded(3, *SIZES))


@pytest.mark.parametrize("inner", ["same", "different"])
@pytest.mark.parametrize("outer", ["same", "different"])
def test_maps_inside_maps_each_keep_their_promise(outer, inner):
    pattern, x = Bernoulli(rate=0.5), seeded(2, 3, *SIZES)

    def dropped(row):
        return pattern.drop(row, NAMES, SOURCES[:1])

    got = vmap(vmap(dropped, randomness=inner), randomness=outer)(x)
    for i in range(2):
        for j in range(3):
            chosen = [(i, outer), (j, inner)]
            own = [index for index, randomness in chosen if randomness == "different"]
            torch.testing.assert_close(got[i, j], x[i, j] * mask_of(pattern, *own))


def test_a_tensor_that_is_not_mapped_is_dropped_anew_for_each_example():
    x, weight = seeded(*SIZES), seeded(3, 1)

    def dropped(scale):
        return scale * Bernoulli(rate=0.5).drop(x, NAMES, SOURCES[:1])

    got = vmap(dropped, randomness="different")(weight)
    for index in range(3):
        mask = mask_of(Bernoulli(rate=0.5), index)
        torch.testing.assert_close(got[index], weight[index] * x * mask)


@pytest.mark.parametrize("jacobian", [jacfwd, jacrev])
def test_jacobians_and_hessians_see_one_mask(jacobian):
    pattern, x = Bernoulli(rate=0.5), seeded(2, 3)
    mask = pattern.draw(Axes(("batch", "unit"), (2, 3)), SOURCES[0]).double()

    def dropped(x):
        return pattern.drop(x, ("batch", "unit"), SOURCES[:1])

    arguments = {"randomness": "same"} if jacobian is jacfwd else {}
    got = jacobian(dropped, **arguments)(x).view(6, 6)
    torch.testing.assert_close(got, torch.diag(mask.flatten()))
    curved = hessian(lambda x: (dropped(x) ** 3).sum()) if jacobian is jacrev else None
    if curved is not None:
        with pytest.raises(NoiseError):
            curved(x)


@every
@pytest.mark.parametrize("sizes", [SIZES, (40, 3, 50, 60)])
def test_gradients_that_torch_batches_and_tangents_pass_the_mask_again(pattern, sizes):
    x = seeded(*sizes).requires_grad_()
    mask = pattern.masks(sizes, NAMES, SOURCES[:1]).double().expand(sizes)
    out = pattern.drop(x, NAMES, SOURCES[:1])
    many = torch.stack([seeded(*sizes), seeded(*sizes).flip(0)])
    (got,) = torch.autograd.grad(out, x, many, is_grads_batched=True)
    torch.testing.assert_close(got, many * mask)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x.detach(), many[0])
        out = pattern.drop(dual, NAMES, SOURCES[:1])
        tangent = torch.autograd.forward_ad.unpack_dual(out).tangent
    torch.testing.assert_close(tangent, many[0] * mask)


@pytest.mark.parametrize("per", ["row", "table"])
def test_word_types_fall_for_each_example_of_its_own(per):
    pattern, ids = WordDropout(rate=0.4, per=per), torch.arange(60).view(2, 3, 10) ** 2 % 7
    rows = seeded(2, 3, 10, 4)

    def dropped(rows, ids):
        return pattern.drop_rows(rows, ids, SOURCES[:1])

    for randomness in ("same", "different"):
        got = vmap(dropped, randomness=randomness)(rows, ids)
        for index in range(2):
            key = KEYS[0].example(index) if randomness == "different" else KEYS[0]
            mask = pattern.mask(ids[index], Source(key))
            torch.testing.assert_close(got[index], rows[index] * mask)


def test_parameters_of_a_functional_call_have_gradients_under_the_mask():
    layer, x = torch.nn.Linear(5, 6).double(), seeded(4, 5)
    mask = Bernoulli(rate=0.5).draw(Axes(("batch", "unit"), (4, 6)), SOURCES[0]).double()

    def loss(parameters):
        out = functional_call(layer, parameters, (x,))
        return Bernoulli(rate=0.5).drop(out, ("batch", "unit"), SOURCES[:1]).sum()

    got = grad(loss)({name: p.detach() for name, p in layer.named_parameters()})
    torch.testing.assert_close(got["weight"], mask.T @ x)
    torch.testing.assert_close(got["bias"], mask.sum(0))
