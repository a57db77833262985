"""Second derivatives through every kernel, against finite differences of the first ones."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dropsmith.kernels
from dropsmith.errors import KernelError
from dropsmith.kernels.adaptive_softmax import adaptive_softmax_consistency
from dropsmith.kernels.attention_divergence import (
    AttentionInputs,
    AttentionSettings,
    attention_divergence,
)
from dropsmith.kernels.elman import elman
from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    Mix,
    consistency_from_scores,
    fused_linear_consistency,
)
from dropsmith.kernels.gru import gru
from dropsmith.kernels.keyed_dropout import chunked as chunked_dropout
from dropsmith.kernels.keyed_dropout.dispatch import drop_small
from dropsmith.kernels.large_matmul import large_linear, large_matmul
from dropsmith.kernels.lazy_logits import Bands, BandScores, Head, HeadScores
from dropsmith.kernels.lstm import lstm
from dropsmith.kernels.prepacked_matmul import prepacked_matmul
from dropsmith.kernels.state_noise import StateNoise
from dropsmith.kernels.two_view_scores import two_view_sums
from dropsmith.recurrent import GRU, LSTM, RNN
from dropsmith.rng import Key

Outputs = Tensor | tuple[Tensor, ...]
ROOM, HERE = Path(dropsmith.kernels.__file__).parent, Path(__file__).parent
STEPS, ROWS, UNITS = 3, 2, 4
KEYS = (Key.of(3), Key.of(4))


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Case:
    """A kernel, the sizes of its inputs, and whose first derivatives finite differences are of."""

    run: Callable[..., Outputs]
    sizes: tuple[tuple[int, ...], ...]
    exact: Callable[..., Outputs] | None = None
    dtype: torch.dtype = torch.float64


def noise(gates: int, cell: bool = False) -> StateNoise:
    return StateNoise(
        recurrent=2.0 * (drawn(90, STEPS, ROWS, gates, UNITS) > 0),
        hidden_update=drawn(91, STEPS, ROWS, UNITS).sigmoid(),
        cell_update=drawn(92, STEPS, ROWS, 1).sigmoid() if cell else None,
    )


def recurrence(gates: int, states: int) -> tuple[tuple[int, ...], ...]:
    of_states = ((ROWS, UNITS),) * states
    return ((STEPS, ROWS, gates, UNITS), *of_states, (gates * UNITS, UNITS))


LABELS = torch.tensor([1, 0, -100, 4, 2])
HEAD = ((2, 5, 3), (6, 3), (6,))
LACKING = torch.zeros(6, dtype=torch.float64)
LACKING[5] = -torch.inf


def head(views: int = 2, lacking: bool = False, **settings) -> Case:
    chosen, mix = HeadSettings(items=4, **settings), Mix((0.5,) * views, 1.5)

    def run(hidden: Tensor, weight: Tensor, bias: Tensor) -> Outputs:
        bias = bias + LACKING if lacking else bias
        return fused_linear_consistency(hidden, weight, bias, LABELS, chosen, mix)[:2]

    return Case(run, ((views, *HEAD[0][1:]), *HEAD[1:]))


def scores(lacking: bool = False, **settings) -> Case:
    gone = torch.arange(6) == 5 - torch.arange(5)[:, None].clamp(max=2) if lacking else None

    def run(given: Tensor) -> Outputs:
        given = (
            given if gone is None else given.masked_fill(gone & (LABELS[:, None] < 0), -torch.inf)
        )
        return consistency_from_scores(given, LABELS, HeadSettings(items=4, **settings))[:2]

    return Case(run, ((2, 5, 6),))


COUNTED = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
OPEN = torch.tensor([True, True, True, False])
ATTENTION = ((3, 4, 3, 2), (3, 2, 4, 2)) * 2


def attention(distance: str, bias: bool = False, causal: bool = False, mask: bool = False) -> Case:
    def run(*given: Tensor) -> Outputs:
        masks = list(given[4:]) or [OPEN if mask else None] * 2
        if mask and bias:
            masks = [x.masked_fill(~OPEN, -torch.inf) for x in given[4:]]
        sides = [AttentionInputs(*given[i : i + 2], masks[i // 2], causal, 0.7) for i in (0, 2)]
        settings = AttentionSettings(distance=distance, elements=16)
        return attention_divergence(*sides, COUNTED, settings).sum

    return Case(run, ATTENTION + ((1, 4, 3, 4), (3, 1, 3, 4)) * bias)


class Squares(torch.autograd.Function):
    """Takes tensors that are made later without looking at them, as code of others does."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad * ctx.saved_tensors[0]


TABLES = ((3, 4), (2, 2), (2, 4))


def bands(hidden: Tensor, rare: Tensor, first: Tensor, second: Tensor, clusters: Tensor) -> Outputs:
    clusters = clusters[:1]
    return BandScores.of([hidden, rare], Bands.of([first, second], clusters))


def agreed_bands(hidden: Tensor, rare: Tensor, *tables: Tensor) -> Outputs:
    given = [hidden, rare], tables[:2], tables[2][:1], LABELS
    return adaptive_softmax_consistency(*given, HeadSettings(items=4))[:2]


def linear_scores(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return HeadScores.of(hidden, Head.of(weight, bias))


CASES: dict[str, list[Case]] = {
    "lstm.sequence._Sequence": [
        Case(lstm, recurrence(4, 2)),
        Case(lambda *a: lstm(*a, noise(4, cell=True)), recurrence(4, 2)),
        Case(lambda *a: lstm(*a, noise(1)), recurrence(4, 2)),
    ],
    "gru.sequence._Sequence": [
        Case(lambda *a, kind=kind: gru(*a, kind), (*recurrence(3, 1), (3 * UNITS,)))
        for kind in (StateNoise(), noise(3), noise(1))
    ],
    "elman.sequence._Sequence": [
        Case(lambda *a, bend=bend: elman(*a, noise(1), bend), recurrence(1, 1))
        for bend in ("tanh", "relu")
    ],
    "fused_linear_consistency.chunked._Head": [
        *(head(distance=x) for x in ("symmetric_kl", "jensen_shannon", "squared")),
        *(head(views) for views in (1, 3)),
        head(smoothing=0.1, cap=2.0),
        *(
            head(lacking=True, smoothing=0.1, distance=x)
            for x in ("symmetric_kl", "jensen_shannon", "squared")
        ),
    ],
    "fused_linear_consistency.from_scores._Scores": [
        *(scores(distance=x) for x in ("symmetric_kl", "jensen_shannon", "squared")),
        scores(smoothing=0.1, cap=2.0, lacking=True),
    ],
    "two_view_scores._TwoViews": [
        Case(lambda given: two_view_sums(given, LABELS.clamp(min=0)), ((2, 5, 6),))
    ],
    "attention_divergence.blocked._BlockedDivergence": [
        attention(distance, **more)
        for distance in ("squared", "symmetric_kl", "jensen_shannon")
        for more in (
            {},
            {"bias": True},
            {"mask": True, "causal": True},
            {"bias": True, "mask": True},
        )
    ],
    "lazy_logits.head_scores._LazyGraph": [
        Case(
            lambda *a: Squares.apply(linear_scores(*a)),
            HEAD,
            lambda hidden, *a: F.linear(hidden, *a).square(),
        )
    ],
    "lazy_logits.band_scores._LazyGraph": [
        Case(lambda *a: Squares.apply(bands(*a)), ((2, 5, 4), (2, 5, 2), *TABLES)),
    ],
    "adaptive_softmax, which is checkpointed": [
        Case(agreed_bands, ((views, 5, 4), (views, 5, 2), *TABLES)) for views in (1, 2)
    ],
    "large_matmul.onednn._Linear": [
        Case(large_linear, ((5, 2, 64), (80, 64), (80,)), F.linear, torch.float32),
        Case(
            lambda x, w, b: large_linear(x.transpose(0, 1), w, b),
            ((5, 2, 64), (80, 64), (80,)),
            lambda x, w, b: F.linear(x.transpose(0, 1), w, b),
            torch.float32,
        ),
    ],
    "self_adjoint._SelfAdjoint": [
        Case(lambda x, kernel=kernel: kernel(x.tanh(), KEYS, 0.4), ((4, 5),))
        for kernel in (chunked_dropout.keyed_dropout, drop_small)
    ],
}
ELSEWHERE = {
    "double_backward._Outline": ("test_double_backward", "third_derivatives_are_those"),
    "double_backward._ActivationLookup": ("test_double_backward", "third_derivatives_are_those"),
    "lstm.triton._Sequence": ("lstm_interpreted", "second_derivatives_are_those_of_the_loop"),
}
"""Which other test takes second derivatives: its file and how its name begins."""

ALL = [pytest.param(c, id=f"{name}-{i}") for name, cs in CASES.items() for i, c in enumerate(cs)]


def functions_of_the_room() -> set[str]:
    """Every class of the room that inherits from `autograd.Function`, by module and name."""
    return {
        ".".join((*path.relative_to(ROOM).with_suffix("").parts, node.name))
        for path in ROOM.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith("Function") for base in node.bases)
    }


def test_every_function_with_a_backward_of_its_own_has_a_case():
    named = {name for name in (*CASES, *ELSEWHERE) if "," not in name}
    assert functions_of_the_room() == named
    for file, test in ELSEWHERE.values():
        assert f"def test_{test}" in (HERE / f"{file}.py").read_text()


def leaves_of(case: Case, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """What each input is the product of: tensors like it, and factors that stand before it."""
    tensors = [drawn(i, *size) for i, size in enumerate(case.sizes)]
    factors = [1 + 0.3 * drawn(20 + i, *size) for i, size in enumerate(case.sizes)]
    return tuple([x.to(dtype).requires_grad_() for x in xs] for xs in (tensors, factors))  # pyright: ignore


def loss_of(run: Callable[..., Outputs], tensors: list[Tensor], factors: list[Tensor]) -> Tensor:
    outputs = run(*(x * y for x, y in zip(tensors, factors, strict=True)))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    # A sum alone hands backward a constant; the sizes keep outputs from cancelling out.
    return sum((i + 1) * out.sum() for i, out in enumerate(outputs))  # pyright: ignore


def slope(run: Callable[..., Outputs], tensors: list[Tensor], factors: list[Tensor]) -> Tensor:
    """The square of the gradient by the tensors, without a graph."""
    grads = torch.autograd.grad(loss_of(run, tensors, factors), tensors)
    return torch.stack([(grad * grad).sum() for grad in grads]).sum()


def penalty(case: Case, tensors: list[Tensor], factors: list[Tensor]) -> Tensor:
    loss = loss_of(case.run, tensors, factors)
    grads = torch.autograd.grad(loss, tensors, create_graph=True)
    return torch.stack([(grad * grad).sum() for grad in grads]).sum()


def differences(case: Case) -> list[Tensor]:
    """The derivative of the penalty along one direction of each factor, by finite differences."""
    run, step, found = case.exact or case.run, 1e-5, []
    tensors, factors = leaves_of(case, torch.float64)
    for i, factor in enumerate(factors):
        ends = []
        for sign in (1, -1):
            moved = [*factors]
            moved[i] = factor.detach() + sign * step * drawn(40 + i, *factor.shape)
            ends.append(slope(run, tensors, moved))
        found.append((ends[0] - ends[1]) / (2 * step))
    return found


def along(grads: list[Tensor]) -> list[Tensor]:
    return [(grad.double() * drawn(40 + i, *grad.shape)).sum() for i, grad in enumerate(grads)]


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("way", ["grad of all", "grad of one", "backward"])
def test_second_derivatives_are_those_of_finite_differences(case: Case, way: str):
    """By the factors, which the first derivative reaches by a way around the kernel as well."""
    tensors, factors = leaves_of(case, case.dtype)
    penalised = penalty(case, tensors, factors)
    if way == "backward":
        penalised.backward()
        seconds = [factor.grad for factor in factors]
    elif way == "grad of one":
        seconds = [torch.autograd.grad(penalised, x, retain_graph=True)[0] for x in factors]
    else:
        seconds = list(torch.autograd.grad(penalised, factors))
    close = (
        {"rtol": 1e-5, "atol": 1e-7} if case.dtype == torch.float64 else {"rtol": 1e-3, "atol": 1}
    )
    torch.testing.assert_close(along(seconds), differences(case), **close)


@pytest.mark.parametrize("case", ALL)
def test_first_derivatives_are_the_same_with_a_graph_and_without(case: Case):
    tensors, factors = leaves_of(case, case.dtype)
    plain = torch.autograd.grad(loss_of(case.run, tensors, factors), tensors)
    graphed = torch.autograd.grad(loss_of(case.run, tensors, factors), tensors, create_graph=True)
    assert not any(x.requires_grad for x in plain)
    torch.testing.assert_close(graphed, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [x for x in ALL if "_Sequence-1" in str(x.id)])
def test_third_derivatives_are_those_of_finite_differences_too(case: Case):
    """Of a recurrence, whose activations are not computed but looked up."""
    tensors, _ = leaves_of(case, torch.float64)

    def first(*given: Tensor) -> tuple[Tensor, ...]:
        outputs = case.run(*given)
        return torch.autograd.grad(sum(x.sin().sum() for x in outputs), given, create_graph=True)

    assert torch.autograd.gradgradcheck(first, tensors, fast_mode=True)


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_a_penalty_on_gradients_of_a_layer_with_noise_is_that_of_torchs_own(kind):
    torch.manual_seed(0)
    layer, before = kind(8, 64), nn.Linear(8, 8)
    x = torch.randn(4, 3, 8, requires_grad=True)

    def seconds(**noise) -> list[Tensor]:
        output = layer(before(x), **noise)[0]
        grad = torch.autograd.grad(output.sum(), x, create_graph=True)[0]
        wanted = [before.weight, layer.weight_hh_l0, layer.weight_ih_l0]
        return list(torch.autograd.grad(grad.square().sum(), wanted))

    kept = {"recurrent_l0": torch.ones(1, 1, 1, 64)}
    torch.testing.assert_close(seconds(masks=kept), seconds(), rtol=1e-4, atol=1e-5)


def test_classes_and_keys_all_but_impossible_leave_second_derivatives_finite():
    far = torch.tensor([[[0.0, -400.0, 200.0]], [[3.0, 500.0, -90.0]]], requires_grad=True)
    for distance in ("symmetric_kl", "jensen_shannon"):
        sums = consistency_from_scores(far, torch.tensor([0]), HeadSettings(distance=distance))
        (first,) = torch.autograd.grad(sums.consistency, far, create_graph=True)
        assert torch.autograd.grad(first.square().sum(), far)[0].isfinite().all()
        keys = [view.view(1, 1, 3, 1) for view in far]
        sides = [AttentionInputs(torch.ones(1, 1, 1, 1), key) for key in keys]
        total = attention_divergence(*sides, None, AttentionSettings(distance=distance)).sum
        (first,) = torch.autograd.grad(total, far, create_graph=True)
        assert torch.autograd.grad(first.square().sum(), far)[0].isfinite().all()


def test_a_mask_that_was_changed_in_place_is_an_error_of_second_derivatives_alone():
    mask = torch.zeros(1, 1, 3, 4, dtype=torch.float64)
    tensors = [drawn(i, *size).requires_grad_() for i, size in enumerate(ATTENTION)]
    sides = [AttentionInputs(*tensors[i : i + 2], mask) for i in (0, 2)]
    total = attention_divergence(*sides, None, AttentionSettings()).sum
    mask.add_(1)
    torch.autograd.grad(total, tensors, retain_graph=True)
    with pytest.raises(KernelError, match=r"write mask = mask \+ "):
        torch.autograd.grad(total, tensors, create_graph=True)


@pytest.mark.parametrize("which", [0, 1])
def test_products_without_a_gradient_refuse_what_requires_one(which):
    pair = [drawn(1, 5, 6), drawn(2, 7, 6)]
    pair[which].requires_grad_()
    with pytest.raises(KernelError, match="large_matmul has no gradient"):
        large_matmul(*pair)
    with pytest.raises(KernelError, match="or detach the tensor"):
        prepacked_matmul(pair[1], 5)(pair[0])
    with torch.no_grad():
        prepacked_matmul(pair[1], 5)(pair[0])
