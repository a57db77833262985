"""The controller finds what was planted, and is the same controller after a stop."""

import numpy as np
import pytest
import torch

from dropsmith.errors import SearchError
from dropsmith.pattern_search import (
    Choice,
    Controller,
    Learning,
    ListedSpace,
    Proposal,
    Sampler,
    Space,
    TrialResult,
)

pytestmark = pytest.mark.slow


def planted(seed: int, choices: int, values: int) -> tuple[Space, np.ndarray]:
    """A space, and the score of each of its plans: a part for each choice, and for four pairs."""
    generator = np.random.default_rng(seed)
    scores = np.zeros((values,) * choices)
    for place in range(choices):
        shape = [values if dim == place else 1 for dim in range(choices)]
        scores = scores + generator.normal(size=shape)
    for _ in range(4):
        pair = generator.choice(choices, 2, replace=False)
        shape = [values if dim in pair else 1 for dim in range(choices)]
        scores = scores + generator.normal(size=shape)
    named = tuple(Choice(f"c{place}", tuple(range(values))) for place in range(choices))
    return ListedSpace(named, ()), scores


def best_of(sampler: Sampler, scores: np.ndarray, trials: int) -> float:
    """The best score that is found, 0 being the mean plan's and 1 the best plan's."""
    found = []
    for number in range(trials):
        proposal = sampler.ask(number)
        found.append(float(scores[proposal.tokens]))
        sampler.tell(TrialResult(number, proposal, found[-1]))
    return (max(found) - scores.mean()) / (scores.max() - scores.mean())


def by_chance(scores: np.ndarray, trials: int, searches: int) -> np.ndarray:
    """What random searches find, on the same scale."""
    drawn = np.random.default_rng(0).choice(scores.ravel(), (searches, trials)).max(axis=1)
    return (drawn - scores.mean()) / (scores.max() - scores.mean())


def test_it_finds_what_was_planted_among_390_625_plans():
    """On three spaces together it comes nearer to the best than each of 1 000 random searches."""
    trials, spaces = 120, [planted(seed, choices=8, values=5) for seed in range(3)]
    learned = [best_of(Controller(space), scores, trials) for space, scores in spaces]
    lucky = np.mean([by_chance(scores, trials, 1000) for _, scores in spaces], axis=0).max()
    assert np.mean(learned) > lucky


def test_it_beats_random_search_on_ten_spaces():
    """Were it no better, its lead would be three standard errors once in 130 times."""
    lead = []
    for seed in range(10):
        space, scores = planted(100 + seed, choices=5, values=4)
        drawn = by_chance(scores, 60, 1000).mean()
        lead.append(best_of(Controller(space, seed=seed), scores, 60) - drawn)
    assert np.mean(lead) > 3 * np.std(lead, ddof=1) / 10**0.5


def run(controller: Controller, begin: int, end: int) -> list[Proposal]:
    asked = []
    for number in range(begin, end):
        asked.append(controller.ask(number))
        tokens = asked[-1].tokens
        controller.tell(TrialResult(number, asked[-1], float(sum(tokens)) - 0.1 * number))
    return asked


def test_making_one_leaves_torchs_generators(seeded_on_gpus):
    space, _ = planted(0, choices=4, values=3)
    before = torch.get_rng_state()
    Controller(space, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded_on_gpus == []


def test_restored_it_goes_on_bit_by_bit():
    space, _ = planted(0, choices=4, values=3)
    whole, again = Controller(space, seed=3), Controller(space, seed=3)
    run(whole, 0, 15)
    again.restore(whole.state())
    assert run(whole, 15, 40) == run(again, 15, 40)
    first, second = whole.state(), again.state()
    assert first.keys() == second.keys()
    for name, own in first.items():
        same = torch.equal(own, second[name]) if torch.is_tensor(own) else own == second[name]
        assert same, name


def test_a_snapshot_does_not_change_with_its_controller():
    space, _ = planted(0, choices=4, values=3)
    controller = Controller(space, seed=3)
    run(controller, 0, 10)
    state = controller.state()
    before = {name: own.clone() for name, own in state.items() if torch.is_tensor(own)}
    run(controller, 10, 30)
    assert all(torch.equal(own, state[name]) for name, own in before.items())
    assert len(state["memory"]) == 10


def test_the_version_counts_updates_and_goes_with_each_proposal():
    space, _ = planted(0, choices=4, values=3)
    controller = Controller(space, learning=Learning(warmup=4, every=3))
    assert [asked.version for asked in run(controller, 0, 12)] == [0] * 6 + [1] * 3 + [2] * 3


def test_the_log_probability_of_a_proposal_is_that_of_its_tokens_when_it_may_repeat():
    space, _ = planted(0, choices=4, values=3)
    controller = Controller(space, learning=Learning(distinct=0))
    run(controller, 0, 30)
    asked = controller.ask(30)
    with torch.no_grad():
        found = controller.policy.log_probabilities(torch.tensor([asked.tokens]))
    assert asked.log_probability == pytest.approx(found.item(), abs=1e-5)


def test_what_runs_is_not_proposed_again_while_anything_else_is_left():
    space, _ = planted(0, choices=2, values=3)
    controller = Controller(space, seed=1)
    tokens = [asked.tokens for asked in run(controller, 0, 3)]
    running = []
    for number in range(3, 9):
        running.append(controller.ask(number, [*running, *running[:1]]).tokens)
    assert set(tokens + running) == set(space.all_tokens())
    # All are tried or run: then what has ended is proposed again, and not what runs.
    assert {controller.ask(number, running).tokens for number in range(9, 60)} == set(tokens)
    every = list(space.all_tokens())
    assert {controller.ask(number, every).tokens for number in range(9, 200)} == set(every)


def test_what_ran_once_is_left_out_of_no_later_proposal():
    space, _ = planted(0, choices=2, values=3)
    often, once = Controller(space, seed=1), Controller(space, seed=1)
    often.ask(0, list(space.all_tokens())[:5])
    assert run(often, 0, 9) == run(once, 0, 9)


def test_what_runs_may_be_proposed_where_what_was_tried_may():
    space, _ = planted(0, choices=2, values=3)
    controller = Controller(space, learning=Learning(distinct=0))
    running = [controller.ask(0).tokens]
    assert controller.ask(0, running) == controller.ask(0)


def test_the_baseline_is_the_moving_average_of_what_was_told():
    space, _ = planted(0, choices=4, values=3)
    controller = Controller(space, learning=Learning(decay=0.5))
    for number, score in enumerate((1.0, 3.0, 7.0)):
        controller.tell(TrialResult(number, controller.ask(number), score))
    assert controller.baseline == pytest.approx((1 * 0.25 + 3 * 0.5 + 7 * 1) / 1.75)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_cannot_be_told(score: float):
    with pytest.raises(SearchError, match="tell None of a trial that failed"):
        TrialResult(3, Proposal((0,)), score)


def test_scores_that_never_differ_leave_it_finite():
    space, _ = planted(0, choices=4, values=3)
    controller = Controller(space)
    for number in range(20):
        controller.tell(TrialResult(number, controller.ask(number), 1e6))
    assert all(own.isfinite().all() for own in controller.policy.parameters())


def test_others_who_draw_from_torch_do_not_matter_nor_are_they_disturbed():
    space, _ = planted(0, choices=4, values=3)
    torch.manual_seed(1)
    want = torch.rand(2)
    torch.manual_seed(1)
    first = run(Controller(space, seed=5), 0, 12)
    assert torch.equal(torch.rand(2), want)
    assert run(Controller(space, seed=5), 0, 12) == first


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"distinct": -1}, "distinct must be a whole number of at least 0"),
        ({"width": 10}, "multiple of heads, got width=10 and heads=4"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"decay": 1.0}, "decay must be in"),
        ({"entropy": -0.1}, "entropy must be a finite number of 0 or more"),
        ({"clip": 0.5}, "clip must be 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], says: str):
    with pytest.raises(SearchError, match=says):
        Learning(**settings)  # type: ignore[arg-type]
