"""The contract of every sampler; inherit the class and list yours."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from dropsmith.pattern_search import (
    Choice,
    ListedSpace,
    Proposal,
    Sampler,
    Space,
    TrialResult,
    load_state,
    save_state,
)

Make = Callable[[Space, int], Sampler]
"""A function of a space and a seed that returns a sampler."""

SPACE = ListedSpace(
    (
        Choice("size", (0, 1, 2, 4, 8)),
        Choice("only", ("one",)),
        Choice("share", (False, True)),
        Choice("angle", (0.0, 15.0, 30.0)),
    ),
    (),
)


class SamplerContract:
    """Tests that pytest runs once for each of your `samplers`.

    >>> from dropsmith.pattern_search import RandomSampler
    >>> class TestMine(SamplerContract):
    ...     samplers = [lambda space, seed: RandomSampler(space, seed=seed)]

    Attributes:
        samplers: functions of a space and a seed that return a sampler.
        space: the space of the proposals.
        trials: the number of trials in a test; as many as your sampler needs to learn.
    """

    samplers: ClassVar[Sequence[Make]] = ()
    space: ClassVar[Space] = SPACE
    trials: ClassVar[int] = 24

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "make" in metafunc.fixturenames:
            samplers = type(self).samplers
            metafunc.parametrize(
                "make", samplers, ids=[make(self.space, 0).name for make in samplers]
            )

    def score(self, proposal: Proposal) -> float:
        """A score that is lower for later values, so that a sampler can learn."""
        return sum(token * 0.5**place for place, token in enumerate(proposal.tokens))

    def test_every_token_is_one_of_its_choice(self, make: Make) -> None:
        for result in self._run(make(self.space, 1), self.trials):
            self.space.check(result.proposal.tokens)

    def test_asking_twice_gives_the_same_and_changes_nothing(self, make: Make) -> None:
        asked_often, asked_once = make(self.space, 2), make(self.space, 2)
        for number in range(self.trials):
            for extra in (number, number + 5, number):
                asked_often.ask(extra)
            first, second = asked_often.ask(number), asked_once.ask(number)
            assert first == second, (
                f"{asked_often.name} proposes {first} after asks, {second} without"
            )
            self._tell(asked_often, number, first)
            self._tell(asked_once, number, second)

    def test_a_seed_decides_everything_and_another_seed_something(self, make: Make) -> None:
        first, repeat, different = (
            self._run(make(self.space, seed), self.trials) for seed in (3, 3, 4)
        )
        assert first == repeat, "equal seeds gave different searches"
        assert first != different, "different seeds gave equal searches"

    def test_trials_asked_before_any_is_told_differ(self, make: Make) -> None:
        sampler = make(self.space, 5)
        tokens = {sampler.ask(number).tokens for number in range(20)}
        assert len(tokens) > 1, f"{sampler.name} proposes {tokens} to twenty workers at once"

    def test_it_may_be_asked_while_trials_run(self, make: Make) -> None:
        sampler = make(self.space, 13)
        running = [sampler.ask(number).tokens for number in range(3)]
        first = sampler.ask(3, running)
        self.space.check(first.tokens)
        assert first == sampler.ask(3, running), f"{sampler.name} proposes two plans for one trial"

    def test_a_snapshot_goes_on_exactly_where_it_was_taken(
        self, make: Make, tmp_path: Path
    ) -> None:
        sampler = make(self.space, 6)
        self._run(sampler, self.trials // 2)
        save_state(sampler.state(), tmp_path / "state")
        resumed = make(self.space, 6)
        self._run(resumed, 3)
        resumed.restore(load_state(tmp_path / "state"))
        first = self._run(sampler, self.trials, self.trials // 2)
        assert first == self._run(resumed, self.trials, self.trials // 2)

    def test_a_snapshot_of_another_seed_is_refused(self, make: Make) -> None:
        state = make(self.space, 7).state()
        try:
            make(self.space, 8).restore(state)
        except ValueError:
            return
        raise AssertionError("a snapshot of seed 7 was loaded into a sampler of seed 8")

    def test_a_trial_without_a_score_teaches_nothing(self, make: Make) -> None:
        """The sampler may remember only that the trial was made."""
        sampler = make(self.space, 9)
        for number in range(self.trials):
            proposal = sampler.ask(number)
            assert proposal.version == 0, "failed trials updated the policy"
            sampler.tell(TrialResult(number, proposal, None))
        self.space.check(sampler.ask(self.trials).tokens)

    def test_versions_never_go_back(self, make: Make) -> None:
        versions = [t.proposal.version for t in self._run(make(self.space, 10), self.trials)]
        assert versions == sorted(versions), f"versions decrease: {versions}"

    def test_trials_may_be_told_late_and_in_any_order(self, make: Make) -> None:
        sampler = make(self.space, 11)
        proposals = [sampler.ask(number) for number in range(self.trials)]
        for number in reversed(range(self.trials)):
            score = self.score(proposals[number]) if number % 3 else None
            sampler.tell(TrialResult(number, proposals[number], score))
        self.space.check(sampler.ask(self.trials).tokens)

    def test_tokens_of_another_space_are_refused(self, make: Make) -> None:
        tokens = (0,) * (len(self.space.choices) + 1)
        try:
            make(self.space, 12).tell(TrialResult(0, Proposal(tokens), 1.0))
        except ValueError:
            return
        raise AssertionError(f"tokens {tokens} were accepted as those of {self.space!r}")

    def _run(self, sampler: Sampler, until: int, begin: int = 0) -> list[TrialResult]:
        return [self._tell(sampler, n, sampler.ask(n)) for n in range(begin, until)]

    def _tell(self, sampler: Sampler, number: int, proposal: Proposal) -> TrialResult:
        result = TrialResult(number, proposal, None if number % 7 == 5 else self.score(proposal))
        sampler.tell(result)
        return result
