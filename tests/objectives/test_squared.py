"""Fraternal, Π-model and expectation-linear dropout, each against its formula written out."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import ExpectationLinear, Fraternal, PiModel, SquaredDistance
from dropsmith.objectives.losses import classification, multi_label, tokens
from dropsmith.passes.view_values import Views

LABELS = torch.arange(6) % 5


def draw(n: int = 2, *shape: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(n, *(shape or (6, 5)), dtype=torch.float64, generator=generator)
    return tuple(one.requires_grad_() for one in drawn)


def total(objective: Any, outputs: tuple[Tensor, ...], labels: Tensor = LABELS) -> Tensor:
    loss = tokens if labels.ndim > 1 else classification
    batches = (labels,) * len(outputs)
    views = Views(outputs=outputs, batches=batches, shared_rows=len(labels))
    return objective.total(objective.terms(views, loss), 1)


def test_fraternal_is_the_mean_task_loss_and_the_mean_over_time_batch_and_vocabulary() -> None:
    first, second = draw(2, 3, 4, 5)
    labels = torch.arange(12).view(3, 4) % 5
    task = [cross_entropy(one.flatten(0, 1), labels.flatten()) for one in (first, second)]
    want = (task[0] + task[1]) / 2 + 0.15 * (first - second).pow(2).mean()
    torch.testing.assert_close(total(Fraternal(kappa=0.15), (first, second), labels), want)


def test_of_separate_labels_those_that_count_are_compared() -> None:
    first, second = draw(2, 3, 4)
    labels = torch.tensor([[1, 0, 1, -100], [0, 0, 1, 1], [-100, 1, 0, 0]])
    views = Views(outputs=(first, second), batches=(labels, labels), shared_rows=3)
    found = Fraternal(kappa=0.15).terms(views, multi_label)["consistency"]
    gaps = [(first[i, j] - second[i, j]) ** 2 for i, j in (labels != -100).nonzero()]
    torch.testing.assert_close(found.value, torch.stack(gaps).mean())
    assert found.count == 10


@pytest.mark.parametrize("kind", [PiModel, ExpectationLinear])
def test_pi_and_expectation_linear_have_the_whole_task_loss_on_view_zero(kind: Any) -> None:
    first, second = draw()
    want = cross_entropy(first, LABELS) + 0.25 * (first - second).pow(2).mean()
    torch.testing.assert_close(total(kind(kappa=0.25), (first, second)), want)


def test_gradients_reach_both_views_of_each() -> None:
    for kind in (Fraternal, PiModel, ExpectationLinear):
        outputs = draw()
        slopes = torch.autograd.grad(total(kind(kappa=1), outputs), outputs)
        assert all(slope.any() for slope in slopes)


def test_only_expectation_linear_has_a_quiet_view() -> None:
    assert ExpectationLinear(kappa=1).noise_free == (1,)
    assert Fraternal(kappa=1).noise_free == PiModel(kappa=1).noise_free == ()


@pytest.mark.parametrize(
    ("preset", "general"),
    [
        (Fraternal(kappa=0.3), SquaredDistance(kappa=0.3)),
        (PiModel(kappa=0.3, views=3), SquaredDistance(kappa=0.3, views=3, task_loss_views=(0,))),
        (
            ExpectationLinear(kappa=0.3, warmup=7),
            SquaredDistance(kappa=0.3, warmup=7, task_loss_views=(0,), noise_free=(1,)),
        ),
    ],
    ids=repr,
)
def test_each_is_a_preset_of_one_squared_distance(preset: Any, general: Any) -> None:
    outputs = draw(preset.views)
    assert torch.equal(total(preset, outputs), total(general, outputs))
    assert preset.noise_free == general.noise_free
    assert preset.weight_at(1) == general.weight_at(1)


def test_a_constant_target_gets_its_gradient_from_the_task_alone() -> None:
    first, second = draw()
    objective = SquaredDistance(kappa=1, task_loss_views=(0,), stop_gradient=1)
    slopes = torch.autograd.grad(
        total(objective, (first, second)), (first, second), materialize_grads=True
    )
    assert slopes[0].any()
    assert not slopes[1].any()


def test_lists_from_json_become_tuples() -> None:
    read: Any = [0]
    assert SquaredDistance(kappa=1, task_loss_views=read) == SquaredDistance(
        kappa=1, task_loss_views=(0,)
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"task_loss_views": (1,)}, "view 0 must carry the task loss"),
        ({"task_loss_views": (0, 2)}, "views are numbered from 0 to 1"),
        ({"noise_free": (0,)}, "view 0 must be noisy"),
        ({"noise_free": (5,)}, "no view 5"),
        ({"stop_gradient": -1}, "no view -1"),
        ({"kappa": -0.1}, "kappa must be a finite number ≥ 0, got -0.1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ObjectiveError, match=text):
        SquaredDistance(**({"kappa": 1.0} | settings))


@pytest.mark.parametrize("kind", [Fraternal, PiModel, ExpectationLinear])
@pytest.mark.parametrize("kappa", [-1, float("inf"), "0.1", True])
def test_a_kappa_that_means_nothing_is_refused(kind: Any, kappa: Any) -> None:
    with pytest.raises(ObjectiveError, match="kappa must be a finite number ≥ 0"):
        kind(kappa=kappa)
