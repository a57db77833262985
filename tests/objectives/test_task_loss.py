"""Training as usual, and the control that costs as much as a consistency method."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dropsmith.consistency import consistent, restore
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import TaskLoss, TwoSample, from_json
from dropsmith.objectives.losses import classification
from dropsmith.passes.view_values import Views
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule

LABELS = torch.tensor([0, 1, 2, 0])


def draw(n: int) -> Views:
    outputs = tuple(torch.randn(n, 4, 3, generator=torch.Generator().manual_seed(0)))
    return Views(outputs=outputs, batches=(LABELS,) * n, shared_rows=4)


def test_the_task_loss_is_that_of_one_view() -> None:
    views = draw(1)
    total = TaskLoss().total(TaskLoss().terms(views, classification), 1)
    torch.testing.assert_close(total, cross_entropy(views.outputs[0], LABELS))


@pytest.mark.parametrize("n", [2, 3])
def test_the_control_averages_the_task_loss_over_views_and_adds_nothing(n: int) -> None:
    views, objective = draw(n), TwoSample(views=n)
    terms = objective.terms(views, classification)
    want = torch.stack([cross_entropy(one, LABELS) for one in views.outputs]).mean()
    torch.testing.assert_close(objective.total(terms, 1), want)
    assert set(terms) == {"task"}
    assert objective.views_at(7) == n


def test_a_control_of_one_view_is_refused() -> None:
    with pytest.raises(ObjectiveError, match="views must be an integer ≥ 2, got 1"):
        TwoSample(views=1)


@pytest.mark.parametrize("mode", ["auto", "looped"])
@pytest.mark.parametrize("n", [2, 4])
def test_stratified_views_drop_each_unit_equally_often(
    n: int, mode: Literal["auto", "looped"]
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Identity(), nn.Dropout(0.1), nn.Linear(40, 3))
    x = torch.ones(4, 40)
    masks: list[Tensor] = []
    net[2].register_forward_pre_hook(lambda module, args: masks.append(args[0].eq(0)))
    plan = Plan(rule("1", Bernoulli(rate=0.5)))
    times = {}
    for draws in ("stratified", "independent"):
        objective = TwoSample(views=n, draws=draws)
        with plan.installed(net, x):
            trained = consistent(
                net, objective, loss=lambda y, batch: classification(y, batch["labels"]), mode=mode
            )
            masks.clear()
            trained(x, labels=LABELS).loss.backward()
            restore(trained)
        times[draws] = torch.cat(masks)[-4 * n :].view(n, 4, 40).sum(0)
    assert times["stratified"].eq(n // 2).all()
    assert not times["independent"].eq(n // 2).all()


def test_stratified_draws_are_recorded_and_read_and_other_words_are_refused() -> None:
    objective = TwoSample(draws="stratified")
    assert from_json(objective.to_json()) == objective
    assert TwoSample().to_json() == {"objective": "TwoSample"}
    with pytest.raises(ObjectiveError, match="draws"):
        TwoSample(draws="stratfied")  # pyright: ignore[reportArgumentType]
