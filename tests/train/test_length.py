from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.objectives import TaskLoss, TwoSample
from dropsmith.tasks import Budget, Split
from dropsmith.tasks.learning_rates import Moment, Schedule
from dropsmith.train.length import Length, learning_rate


def rows(count):
    return Split({"x": torch.zeros(count)})


def budget(epochs=3, batch_size=10, **change):
    return Budget(epochs=epochs, batch_size=batch_size, learning_rate=1.0, **change)


@dataclass(frozen=True, kw_only=True, repr=False)
class Every(TwoSample):
    """Two views at every `every`-th step only, of a share of the batch."""

    every: int = 3
    part: float = 1.0

    @property
    def batch_fraction(self):
        return self.part

    def views_at(self, step):
        return 2 if step % self.every == 0 else 1


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 100))
def test_every_method_sees_the_budgets_views_and_less_than_a_step_more(epochs, size, examples):
    for objective in (TaskLoss(), TwoSample(), TwoSample(views=3), Every()):
        length = Length.of(budget(epochs, size), objective, rows(examples))
        asked = epochs * examples
        assert length.views[-2] < asked <= length.views[-1]
        seen = 0
        for step in range(1, length.steps + 1):
            seen += objective.views_at(step) * min(size, examples)
            assert length.views[step] == seen


def test_two_views_make_half_the_steps():
    assert Length.of(budget(), TaskLoss(), rows(100)).steps == 30
    assert Length.of(budget(), TwoSample(), rows(100)).steps == 15


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 100))
def test_with_equal_updates_every_method_makes_the_steps_of_one_view(epochs, size, examples):
    one = Length.of(budget(epochs, size), TaskLoss(), rows(examples))
    for objective in (TwoSample(), TwoSample(views=3), Every(part=0.5)):
        length = Length.of(budget(epochs, size, equal="updates"), objective, rows(examples))
        assert length.steps == one.steps
        for step in range(1, one.steps + 1):
            assert length.evaluates(step) == one.evaluates(step)
            assert length.epoch(step) == one.epoch(step)
    twice = Length.of(budget(epochs, size, equal="updates"), TwoSample(), rows(examples))
    assert twice.views == tuple(2 * views for views in one.views)


def test_a_share_of_the_batch_counts_as_a_share():
    length = Length.of(budget(), Every(every=1, part=0.25), rows(100))
    assert length.views[:3] == (0, 13, 26)


@pytest.mark.parametrize("objective", [TaskLoss(), TwoSample(), Every()])
def test_it_evaluates_once_an_epoch_of_views_and_at_the_end(objective):
    length = Length.of(budget(), objective, rows(95))
    when = [step for step in range(1, length.steps + 1) if length.evaluates(step)]
    assert when[-1] == length.steps
    assert len(when) == 3
    for number, step in enumerate(when[:-1], start=1):
        assert length.epoch(step - 1) < number <= length.epoch(step)


def test_a_schedule_is_asked_where_the_run_is_and_scales_the_budgets_rate():
    asked = []

    class Spy(Schedule):
        def share(self, moment):
            asked.append(moment)
            return 0.5

    length = Length((0, 4, 8, 12), (0, 4, 8, 12), examples=8)
    rate = learning_rate(3, length, budget(warmup=0.3, schedule=Spy()), losses=[2.0])
    assert rate == 0.5
    assert asked == [Moment(step=3, steps=3, epochs=1.0, losses=[2.0], warmup=0.3)]
