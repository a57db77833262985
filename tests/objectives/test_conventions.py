"""Converters against the table of weights, and against each published loss written out literally.

The formulas are those of the code the converters name, with its own reductions. Each returns its
task part and its consistency part; their ratio is what a coefficient means.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop, conventions
from dropsmith.objectives.losses import classification
from dropsmith.passes.view_values import Views

Parts = tuple[Tensor, Tensor]
Published = Callable[[Tensor, Tensor, Tensor], Parts]


def elements(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    there = kl_div(log_softmax(a, -1), softmax(b, -1), reduction="none")
    back = kl_div(log_softmax(b, -1), softmax(a, -1), reduction="none")
    return there, back


def paper(alpha: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        there, back = elements(a, b)
        nll = cross_entropy(a, y, reduction="none") + cross_entropy(b, y, reduction="none")
        return nll.mean(), alpha * ((there + back).sum(-1) / 2).mean()

    return loss


def fairseq(alpha: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        both = cross_entropy(torch.cat((a, b)), torch.cat((y, y)), reduction="sum")
        there, back = elements(a, b)
        ntokens = len(y)
        return both / ntokens, alpha * (there.sum() + back.sum()) / 2 / ntokens

    return loss


def readme(alpha: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        there, back = elements(a, b)
        ce = 0.5 * (cross_entropy(a, y) + cross_entropy(b, y))
        return ce, alpha * (there.sum() + back.sum()) / 2

    return loss


def official_bert() -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        there, back = elements(a, b)
        ce = cross_entropy(a, y) + cross_entropy(b, y)
        return ce, 0.5 * (there.sum() + back.sum()) / 2

    return loss


def official_roberta() -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        there, back = elements(a, b)
        return 0.5 * cross_entropy(a, y), 0.7 * (there.sum() + back.sum()) / 2

    return loss


def official_vit(alpha: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        there, back = elements(a, b)
        return cross_entropy(a, y) + cross_entropy(b, y), alpha * (there.sum() + back.sum())

    return loss


def bert4keras(alpha: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        ce = cross_entropy(torch.stack((a, b), 1).flatten(0, 1), y.repeat_interleave(2))
        there, back = elements(a, b)
        return ce, (there.sum(-1) + back.sum(-1)).mean() / 4 * alpha

    return loss


def bert4torch(alpha: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        ce = cross_entropy(torch.stack((a, b), 1).flatten(0, 1), y.repeat_interleave(2))
        there, back = elements(a, b)
        return ce, (there + back).mean() / 4 * alpha

    return loss


def paddlenlp(coefficient: float) -> Published:
    def loss(a: Tensor, b: Tensor, y: Tensor) -> Parts:
        there, back = elements(a, b)
        ce = (cross_entropy(a, y) + cross_entropy(b, y)) * 0.5
        return ce, coefficient * ((there + back) / 2).sum()

    return loss


BATCHES = [(32, 2), (32, 100), (512, 100)]
CASES: list[tuple[Published, Callable[[int, int], RDrop], tuple[float, float, float]]] = [
    (paper(1), lambda b, c: conventions.rdrop_from_paper(1), (0.5, 0.5, 0.5)),
    (fairseq(5), lambda b, c: conventions.rdrop_from_fairseq(5), (2.5, 2.5, 2.5)),
    (readme(1), lambda b, c: conventions.rdrop_from_readme(1, b), (32, 32, 512)),
    (official_bert(), lambda b, c: conventions.rdrop_from_official_bert(b), (8, 8, 128)),
    (
        official_roberta(),
        lambda b, c: conventions.rdrop_from_official_roberta(b),
        (44.8, 44.8, 716.8),
    ),
    (
        official_vit(0.3),
        lambda b, c: conventions.rdrop_from_official_vit(0.3, b),
        (9.6, 9.6, 153.6),
    ),
    (bert4keras(4), lambda b, c: conventions.rdrop_from_bert4keras(4), (2, 2, 2)),
    (bert4torch(4), lambda b, c: conventions.rdrop_from_bert4torch(4, c), (1, 0.02, 0.02)),
    (paddlenlp(1), lambda b, c: conventions.rdrop_from_paddlenlp(1, b), (32, 32, 512)),
]
NAMES = [published.__qualname__.split(".")[0] for published, _, _ in CASES]


@pytest.mark.parametrize(("published", "convert", "table"), CASES, ids=NAMES)
def test_the_weight_is_that_of_the_table(
    published: Published, convert: Callable[[int, int], RDrop], table: tuple[float, ...]
) -> None:
    for (batch, classes), weight in zip(BATCHES, table, strict=True):
        assert convert(batch, classes).alpha / 2 == pytest.approx(weight)


@pytest.mark.parametrize(("published", "convert", "table"), CASES, ids=NAMES)
@pytest.mark.parametrize(("batch", "classes"), [(6, 4), (32, 2), (32, 100)])
def test_the_published_loss_is_a_multiple_of_the_converted_objective(
    published: Published,
    convert: Callable[[int, int], RDrop],
    table: tuple[float, ...],
    batch: int,
    classes: int,
) -> None:
    generator = torch.Generator().manual_seed(batch)
    a, b = torch.randn(2, batch, classes, dtype=torch.float64, generator=generator)
    y = torch.randint(classes, (batch,), generator=generator)
    task, term = published(a, b, y)
    objective = convert(batch, classes)
    views = Views(outputs=(a, b), batches=(y, y), shared_rows=batch)
    terms = objective.terms(views, classification)
    # One published loss has the task loss of the first view alone; its multiple is of that one.
    carried = cross_entropy(a, y) if published.__qualname__.startswith("official_roberta") else None
    ours = terms["task"].value if carried is None else carried
    multiple = task / ours
    weighted = objective.total(terms, 1) - terms["task"].value
    torch.testing.assert_close(weighted * multiple, term)
    if carried is None:
        torch.testing.assert_close(objective.total(terms, 1) * multiple, task + term)


@pytest.mark.parametrize("batch", [0, -1, 2.5, True])
def test_a_batch_that_cannot_be_is_refused(batch: int) -> None:
    with pytest.raises(ObjectiveError, match="batch must be an integer ≥ 1"):
        conventions.rdrop_from_readme(1, batch)
    with pytest.raises(ObjectiveError, match="classes must be an integer ≥ 1"):
        conventions.rdrop_from_bert4torch(1, batch)
