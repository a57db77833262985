"""Terms over rows without a label, against loops over items in float64."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import (
    UDA,
    FixMatch,
    Fraternal,
    Objective,
    PiModel,
    RDrop,
    SquaredDistance,
    from_json,
    losses,
)
from dropsmith.passes import Views, logits_of
from dropsmith.terms import Loss, Terms

LABELS = torch.tensor([-100, 2, -100, 0, -100, -100, 1])
UNLABELLED = [i for i, label in enumerate(LABELS.tolist()) if label < 0]
LABELLED = [i for i in range(len(LABELS)) if i not in UNLABELLED]


def scores(scale: float = 2.0, *shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    size = (2, *(shape or (len(LABELS), 4)))
    first, second = scale * torch.randn(size, dtype=torch.float64, generator=generator)
    return first.requires_grad_(), second.requires_grad_()


def of_rows(output: Any, batch: Any) -> Loss:
    return losses.classification(logits_of(output), batch["labels"])


def views(outputs: tuple[Tensor, ...], labels: Tensor = LABELS, **batch: Tensor) -> Views:
    rows = len(outputs[0])
    batches = tuple({"labels": labels[: len(x)], **batch} for x in outputs)
    shared = min(map(len, outputs))
    return Views(outputs=outputs, batches=batches, rows=rows, shared_rows=shared, step=1)


def terms(objective: Objective, outputs: tuple[Tensor, ...]) -> Terms:
    return objective.terms(views(outputs), of_rows)


def softmax(row: Tensor) -> list[float]:
    powers = [math.exp(x) for x in row.detach().tolist()]
    return [x / sum(powers) for x in powers]


def kl_of(p: list[float], q: list[float]) -> float:
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize(
    ("rows", "counted"),
    [("labelled", LABELLED), ("unlabelled", UNLABELLED), ("all", range(len(LABELS)))],
)
def test_a_term_counts_the_rows_that_it_names(rows: Any, counted: list[int]) -> None:
    first, second = scores()
    for objective in (
        PiModel(kappa=0.5, term_rows=rows),
        Fraternal(kappa=0.5, term_rows=rows),
        RDrop(alpha=1.0, term_rows=rows),
    ):
        found = terms(objective, (first, second))
        if isinstance(objective, RDrop):
            gaps = [
                (kl_of(p, q) + kl_of(q, p)) / 2
                for p, q in ((softmax(first[i]), softmax(second[i])) for i in counted)
            ]
        else:
            gaps = [float((first[i] - second[i]).detach().square().mean()) for i in counted]
        assert float(found["consistency"].count) == len(counted)
        assert float(found["consistency"].detach().value) == pytest.approx(sum(gaps) / len(counted))
        labelled = [-math.log(softmax(first[i])[int(LABELS[i])]) for i in LABELLED]
        if isinstance(objective, PiModel):
            assert float(found["task"].detach().value) == pytest.approx(
                sum(labelled) / len(labelled)
            )


def test_a_row_with_a_label_never_moves_a_term_of_rows_without() -> None:
    first, second = scores()
    term = terms(PiModel(kappa=1, term_rows="unlabelled"), (first, second))["consistency"]
    slopes = torch.autograd.grad(term.value, (first, second))
    for slope in slopes:
        assert not slope[LABELLED].any()
        assert slope[UNLABELLED].any(1).all()


@pytest.mark.parametrize("average_over", ["confident", "unlabelled"])
def test_uda_is_the_divergence_from_the_sharpened_target_where_it_is_confident(
    average_over: Any,
) -> None:
    first, second = scores()
    objective = UDA(weight=3, temperature=0.5, confidence=0.7, average_over=average_over)
    found = terms(objective, (first, second))
    passing = [i for i in UNLABELLED if max(softmax(first[i])) >= 0.7]
    assert 0 < len(passing) < len(UNLABELLED)  # the threshold parts them
    gaps = [kl_of(softmax(first[i] / 0.5), softmax(second[i])) for i in passing]
    count = len(passing) if average_over == "confident" else len(UNLABELLED)
    assert float(found["consistency"].count) == count
    assert float(found["consistency"].detach().value) == pytest.approx(sum(gaps) / count)
    assert found["confident"].detach().numbers == (len(passing), len(UNLABELLED))
    task = [-math.log(softmax(first[i])[int(LABELS[i])]) for i in LABELLED]
    total = sum(task) / len(task) + 3 * sum(gaps) / count
    assert float(objective.total(found, 1).detach()) == pytest.approx(total)


def test_the_target_is_a_constant_and_its_row_keeps_the_gradient_of_its_label() -> None:
    first, second = scores()
    objective = UDA(confidence=0.0)
    value = objective.total(terms(objective, (first, second)), 1)
    to_first, to_second = torch.autograd.grad(value, (first, second))
    assert not to_first[UNLABELLED].any()
    assert to_first[LABELLED].any()
    assert not to_second[LABELLED].any()
    assert to_second[UNLABELLED].any()


def test_fixmatch_is_the_cross_entropy_with_confident_pseudo_labels_over_all_rows() -> None:
    first, second = scores()
    found = terms(FixMatch(confidence=0.7), (first, second))
    passing = [i for i in UNLABELLED if max(softmax(first[i])) >= 0.7]
    items = [-math.log(softmax(second[i])[int(first[i].argmax())]) for i in passing]
    assert float(found["consistency"].detach().value) == pytest.approx(sum(items) / len(UNLABELLED))


@pytest.mark.parametrize("objective", [UDA(confidence=1.0), FixMatch(confidence=1.0)], ids=repr)
def test_a_batch_without_a_confident_row_costs_nothing(objective: Objective) -> None:
    outputs = scores(0.1)
    found = terms(objective, outputs)
    count = 0 if isinstance(objective, UDA) else len(UNLABELLED)
    assert float(found["consistency"].count) == count
    assert float(found["consistency"].detach().value) == 0.0
    assert found["confident"].detach().numbers[0] == 0
    value = objective.total(found, 1)
    slopes = torch.autograd.grad(value, outputs, materialize_grads=True)
    assert all(slope.isfinite().all() for slope in slopes)
    torch.testing.assert_close(value, found["task"].value)


def test_a_batch_without_any_label_has_a_task_loss_of_zero() -> None:
    outputs = scores()
    none = torch.full_like(LABELS, -100)
    objective = UDA(confidence=0.0)
    found = objective.terms(views(outputs, none), of_rows)
    assert float(found["task"].count) == 0
    assert objective.total(found, 1).isfinite()
    assert float(found["consistency"].count) == len(LABELS)


def test_the_second_view_may_hold_the_leading_rows_alone() -> None:
    labels = torch.tensor([-100, -100, -100, 0, 1, 2, 3])
    first, second = scores()
    objective = UDA(temperature=1.0, confidence=0.0)
    found = objective.terms(views((first, second[:3]), labels), of_rows)
    gaps = [kl_of(softmax(first[i]), softmax(second[i])) for i in range(3)]
    assert float(found["consistency"].detach().value) == pytest.approx(sum(gaps) / 3)
    assert float(found["task"].count) == 4
    assert found["confident"].detach().numbers == (3, 3)


def test_terms_add_up_over_parts_whatever_the_ratio_of_labels() -> None:
    first, second = scores()
    objective = UDA(confidence=0.7)
    whole = terms(objective, (first, second))
    parts = [
        objective.terms(views((first[a:b], second[a:b]), LABELS[a:b]), of_rows)
        for a, b in ((0, 1), (1, 3), (3, 7))
    ]
    for name in ("task", "consistency", "confident"):
        joined = parts[0][name] + parts[1][name] + parts[2][name]
        torch.testing.assert_close(joined.value, whole[name].value)
        assert float(joined.count) == float(whole[name].count)


def test_padding_of_a_text_without_labels_counts_nowhere() -> None:
    first, second = scores(1.0, 3, 4, 5)
    labels = torch.tensor([[1, 2, -100, -100], [-100] * 4, [-100] * 4])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]])
    poisoned = first.detach().clone()
    poisoned[1, 3] = math.nan

    def loss(output: Any, batch: Any) -> Loss:
        return losses.tokens(output, batch["labels"])

    batch = views((poisoned, second), labels, attention_mask=mask)
    found = PiModel(kappa=1, term_rows="all").terms(batch, loss)["consistency"]
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)]
    gaps = [float((first[i, j] - second[i, j]).detach().square().mean()) for i, j in places]
    assert float(found.count) == len(places)
    assert float(found.detach().value) == pytest.approx(sum(gaps) / len(gaps))


@pytest.mark.parametrize(
    ("annealing", "share", "level"),
    [
        ("linear", 0.25, 0.25),
        ("log", 0.25, 1 - math.exp(-1.25)),
        ("exp", 0.25, math.exp(-3.75)),
        ("exp", 2.0, 1.0),
    ],
)
def test_annealing_sets_labels_aside_that_are_predicted_well(
    annealing: Any, share: float, level: float
) -> None:
    first, second = scores()
    objective = UDA(annealing=annealing, annealing_steps=100)
    step = round(100 * share)
    threshold = level * 3 / 4 + 1 / 4
    assert objective.annealing_threshold(step, 4) == pytest.approx(threshold)
    at_step = replace(views((first, second)), step=step)
    found = objective.terms(at_step, of_rows)
    chances = [softmax(first[i])[int(LABELS[i])] for i in LABELLED]
    kept = [p for p in chances if p <= threshold]
    assert float(found["task"].count) == len(kept)
    want = -sum(map(math.log, kept)) / max(len(kept), 1)
    assert float(found["task"].detach().value) == pytest.approx(want)
    assert float(found["confident"].count) == len(UNLABELLED)  # a label set aside is a label


def test_annealing_needs_the_step() -> None:
    objective = UDA(annealing="linear", annealing_steps=10)
    with pytest.raises(ObjectiveError, match="these views have none"):
        objective.terms(replace(views(scores()), step=None), of_rows)


def test_the_gaussian_ramp_is_that_of_laine_and_aila() -> None:
    objective = PiModel(kappa=2, warmup=10, ramp="gaussian")
    assert objective.weight_at(5) == pytest.approx(2 * math.exp(-1.25))
    assert objective.weight_at(10) == objective.weight_at(99) == 2


def test_rows_without_a_label_need_a_mask() -> None:
    def of_values(output: Any, batch: Any) -> Loss:
        return losses.regression(output[:, 0], batch["labels"].double())

    for rows in ("all", "unlabelled"):
        objective = SquaredDistance(kappa=1, term_rows=rows)
        with pytest.raises(ObjectiveError, match="which rows have a label"):
            objective.terms(views(scores()), of_values)


def test_flattened_tokens_are_no_rows() -> None:
    flat = replace(views(scores()), rows=3, shared_rows=3)
    with pytest.raises(ObjectiveError, match="cannot tell which of 3 rows"):
        PiModel(kappa=1, term_rows="all").terms(flat, of_rows)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: from_json({"objective": "UDA", "term_rows": "every"}), "term_rows is"),
        (lambda: from_json({"objective": "UDA", "ramp": "cosine"}), "ramp is"),
        (lambda: PiModel(kappa=1, augment=True), "augment=True is for"),
        (lambda: UDA(temperature=0), "temperature must be above 0"),
        (lambda: UDA(confidence=1.5), "in \\[0, 1\\]"),
        (lambda: UDA(annealing="linear"), "belong together"),
        (lambda: UDA(annealing_steps=5), "belong together"),
        (lambda: UDA(views=3, augment=False), "there are 2 views"),
        (lambda: from_json({"objective": "UDA", "average_over": "some"}), "average_over is"),
        (lambda: FixMatch(weight=-1), "weight must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ObjectiveError, match=words):
        make()


@pytest.mark.parametrize(
    "objective",
    [
        UDA(confidence=0.8, annealing="exp", annealing_steps=9),
        FixMatch(weight=2, augment=False),
        RDrop(alpha=1, term_rows="all"),
    ],
    ids=repr,
)
def test_they_come_back_from_json(objective: Objective) -> None:
    assert from_json(objective.to_json()) == objective


def test_older_objectives_have_the_json_that_they_had() -> None:
    assert PiModel(kappa=1).to_json() == {"objective": "PiModel", "kappa": 1}
    assert UDA().to_json() == {"objective": "UDA"}
