import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import TaskError
from dropsmith.tasks.learning_rates import (
    Constant,
    Cosine,
    Moment,
    Plateau,
    Staircase,
    UntilWorse,
)
from tasks.test_optimisers import by_hand

NAN = math.nan


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_cosine_rises_then_falls_within_the_runs_own_steps(steps, warmup):
    moments = [Moment(step=s, steps=steps, warmup=warmup) for s in range(1, steps + 1)]
    shares = [Cosine().share(moment) for moment in moments]
    top = shares.index(max(shares))
    assert max(shares) == 1
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert abs(top + 1 - steps * warmup) <= 1
    assert all(0 <= share <= 1 for share in shares)


def test_the_fall_is_half_a_cosine():
    shares = [Cosine().share(Moment(step=step, steps=11)) for step in (1, 6, 11)]
    assert shares == pytest.approx([1.0, 0.5, 0.0])


def test_a_constant_rate_is_constant():
    assert {Constant().share(Moment(step=s, steps=9)) for s in range(1, 10)} == {1.0}


@given(st.lists(st.floats(1, 9), max_size=20), st.sampled_from([1, 2, 5]))
def test_a_rate_that_holds_until_validation_is_worse_ends_there_and_is_constant(losses, nonmono):
    schedule = UntilWorse(nonmono=nonmono)
    assert schedule.ends(losses) == (by_hand(losses, nonmono) is not None)
    assert not schedule.returns(losses)
    assert {schedule.share(Moment(step=s, steps=9, losses=losses)) for s in (1, 9)} == {1.0}


def test_a_run_cannot_end_at_its_first_evaluation():
    with pytest.raises(
        TaskError, match="UntilWorse: nonmono must be a whole number of at least 1, got 0"
    ):
        UntilWorse(nonmono=0)


def test_a_staircase_divides_as_the_loop_of_the_papers_code_does():
    # Gal's large model: after each epoch whose number is above 10, the rate is divided by 1.15.
    rate, per_epoch = 1.0, []
    for epoch in range(1, 56):
        per_epoch.append(rate)
        if epoch > 10:
            rate /= 1.15
    stairs = Staircase(factor=1.15, after=10)
    found = [stairs.share(Moment(step=1, steps=1, epochs=done + 0.5)) for done in range(55)]
    assert found == pytest.approx(per_epoch)
    assert (found[10], found[11]) == (1.0, pytest.approx(1 / 1.15))


def plateau_by_hand(losses, factor, patience):
    rate, best, since = 1.0, math.inf, 0
    for loss in losses:
        if loss < best:
            best, since = loss, 0
        else:
            since += 1
        if since == patience:
            rate, since = rate / factor, 0
    return rate


@given(
    st.lists(st.one_of(st.floats(1, 9), st.just(NAN)), max_size=30),
    st.sampled_from([1, 2, 5]),
)
def test_a_plateau_divides_when_validation_stood_still_for_so_many_evaluations(losses, patience):
    flat = Plateau(factor=3, patience=patience)
    share = flat.share(Moment(step=1, steps=1, losses=losses))
    assert share == pytest.approx(plateau_by_hand(losses, 3, patience))


def test_a_plateau_goes_back_to_the_best_weights_at_each_division_only():
    flat, losses = Plateau(factor=3, patience=2), [5.0, 4.0, 4.5, 4.5, 3.0, 3.0, 3.0, 3.0, 3.0]
    at = [n for n in range(1, len(losses) + 1) if flat.returns(losses[:n])]
    assert at == [4, 7, 9]


def test_a_plateau_ends_the_run_below_its_least_rate():
    flat, losses = Plateau(factor=3, patience=1, least=0.2), [5.0, 5.0, 5.0]
    assert [flat.ends(losses[:n]) for n in range(4)] == [False, False, False, True]
    assert not Plateau(factor=3, patience=1).ends([5.0] * 99)


@pytest.mark.parametrize("factor", [1, 0, -2, NAN])
def test_a_factor_that_would_not_lower_the_rate_is_refused(factor):
    with pytest.raises(
        TaskError, match=r"Staircase: factor must be (above 1|a finite number of 0 or more), got"
    ):
        Staircase(factor=factor, after=1)
    with pytest.raises(TaskError, match=r"Plateau: factor"):
        Plateau(factor=factor, patience=1)


def test_a_plateau_without_patience_is_refused():
    with pytest.raises(TaskError, match="patience must be a whole number of at least 1, got 0"):
        Plateau(factor=2, patience=0)
