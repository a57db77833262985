"""Every objective keeps what the contract promises, on each kind of output it is made for."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from dropsmith.activations.block_outputs import Layer
from dropsmith.kernels.attention_divergence import AttentionInputs
from dropsmith.objectives import (
    ExpectationLinear,
    Fraternal,
    LRDrop,
    PiModel,
    RDrop,
    SquaredDistance,
    TaskLoss,
    TwoSample,
)
from dropsmith.objectives.losses import classification, multi_label, regression, tokens
from dropsmith.passes.view_values import Views
from dropsmith.terms import Loss
from dropsmith.testing.objective import ObjectiveContract, Rows


class TestOnTokens(ObjectiveContract):
    objectives = (
        TaskLoss(),
        TwoSample(),
        TwoSample(views=3),
        RDrop(alpha=5),
        RDrop(alpha=1, views=3, warmup=10, every=2),
        RDrop(alpha=1, batch_fraction=0.5),
        RDrop(alpha=1, divergence="forward", stop_gradient=0),
        RDrop(alpha=1, divergence="backward"),
        RDrop(alpha=1, divergence="js"),
        RDrop(alpha=1, stop_gradient="targets"),
        Fraternal(kappa=0.15),
        Fraternal(kappa=0.15, batch_fraction=0.5, every=3),
        PiModel(kappa=0.15, warmup=5),
        ExpectationLinear(kappa=0.25),
        ExpectationLinear(kappa=0.25, views=3),
        SquaredDistance(kappa=1, views=3, task_loss_views=(0, 2), noise_free=(1,), stop_gradient=1),
    )


class TestWithLabelSmoothing(ObjectiveContract):
    objectives = (RDrop(alpha=5), Fraternal(kappa=0.15))

    def loss(self, output: Any, batch: Any) -> Loss:
        return tokens(output, batch, label_smoothing=0.1)


class TestOnCausalTokens(ObjectiveContract):
    objectives = (RDrop(alpha=5), Fraternal(kappa=0.15))

    def loss(self, output: Any, batch: Any) -> Loss:
        return tokens(output, batch, shift=True)


class TestOnLayers(ObjectiveContract):
    """Layers whose states are the scores, and whose tokens are padding where labels are."""

    objectives = (
        LRDrop(),
        LRDrop(hidden=0.5, attention=20, output=5, hidden_at="block", layers=(-1,)),
        LRDrop(hidden_distance="cosine", attention_distance="symmetric_kl", views=3, warmup=10),
        LRDrop(attention_distance="jensen_shannon", batch_fraction=0.5, every=2, stop_gradient=0),
        LRDrop(hidden=0, attention=0, output=5, cross=False, blocks="layers.*"),
    )

    def views(self, rows: Rows) -> Views:
        made = rows.views()
        labels = [rows.labels[: len(scores)] for scores in rows.scores]
        layers = tuple(map(_layers, rows.scores, labels))
        pairs = zip(rows.scores, labels, strict=True)
        batches = tuple({"x": scores, "labels": own} for scores, own in pairs)
        return replace(made, batches=batches, layers=layers)

    def loss(self, output: Any, batch: Any) -> Loss:
        return tokens(output, batch["labels"] if isinstance(batch, dict) else batch)


def _layers(scores: Tensor, labels: Tensor) -> tuple[Layer, ...]:
    # Classes may be impossible, hidden states are finite.
    states = scores[..., :7]
    query = states.unsqueeze(1).clamp(-50, 50)
    real = labels != -100
    looks = AttentionInputs(query, query * 0.5, real[:, None, None], causal=True)
    return tuple(
        Layer(f"layers.{i}", "layers", states / (i + 1), (("own", looks),)) for i in (0, 1)
    )


class TestOnClasses(ObjectiveContract):
    objectives = (TaskLoss(), TwoSample(), RDrop(alpha=1), Fraternal(kappa=1))
    shape = (7,)

    def loss(self, output: Any, batch: Any) -> Loss:
        return classification(output, batch)


class TestOnLabels(ObjectiveContract):
    objectives = (
        TwoSample(),
        RDrop(alpha=1, kind="labels"),
        RDrop(alpha=1, kind="labels", divergence="js", views=3),
        RDrop(alpha=1, kind="labels", stop_gradient="targets"),
    )
    shape = (7,)
    softmax = False

    def loss(self, output: Any, batch: Any) -> Loss:
        return multi_label(output, batch)

    def labels(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.randint(2, (rows, *self.shape), generator=generator)


class TestOnValues(ObjectiveContract):
    objectives = (
        TwoSample(),
        RDrop(alpha=1, kind="values"),
        RDrop(alpha=1, kind="values", views=3),
    )
    shape = (3,)
    softmax = False
    ignore_label: ClassVar[float] = float("nan")

    def loss(self, output: Any, batch: Any) -> Loss:
        return regression(output, batch, mask=~batch.isnan())

    def labels(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rows, *self.shape, generator=generator)


def broken(objective: RDrop, test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(TestOnTokens(), test)(objective)


class MeanOfMeans(RDrop):
    """Averages too early: each batch counts as one item."""

    def terms(self, views: Any, loss: Any) -> Any:
        means = super().terms(views, loss)
        return {name: type(mean)(mean.value, 1.0) for name, mean in means.items()}


class SummedOverViews(RDrop):
    """The published total: two task losses added, not averaged."""

    def total(self, terms: Any, step: int) -> Tensor:
        return 2 * super().total(terms, step)


class BlindToPadding(RDrop):
    """Counts padding in the consistency term."""

    def terms(self, views: Any, loss: Any) -> Any:
        def unmasked(output: Any, batch: Any) -> Loss:
            return Loss(loss(output, batch).mean)

        return super().terms(views, loss) | {
            "consistency": super().terms(views, unmasked)["consistency"]
        }


class SummedOverRows(RDrop):
    """The consistency of a batch is its sum, as in several published losses."""

    def total(self, terms: Any, step: int) -> Tensor:
        return terms["task"].value + terms["consistency"].sum


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (MeanOfMeans, "test_accumulated_batches_equal_the_whole"),
        (MeanOfMeans, "test_ranks_that_divide_by_the_common_count_equal_the_whole"),
        (SummedOverViews, "test_views_that_agree_cost_the_task_loss_and_no_more"),
        (BlindToPadding, "test_padding_changes_nothing_even_if_it_is_not_a_number"),
        (BlindToPadding, "test_padding_has_no_gradient"),
        (SummedOverRows, "test_every_row_twice_changes_nothing"),
    ],
)
def test_the_contract_finds_each_planted_fault(kind: type[RDrop], test: str) -> None:
    getattr(TestOnTokens(), test)(RDrop(alpha=1))
    broken(kind(alpha=1), test)
