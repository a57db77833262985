"""Random search, TPE and an evolutionary sampler: Optuna's, behind ask and tell.

Optuna's samplers draw from a generator that every ask moves on. Here each ask makes a fresh one,
seeded by the sampler's seed and the trial's number, over a study in memory that holds the results
told so far: so an ask is a function of these, and a snapshot is these results and nothing else.
Tokens are categories: a score of one value says nothing about the next value.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dropsmith.errors import SearchError
from dropsmith.numbers import check_number, check_whole
from dropsmith.pattern_search.samplers.sampler import (
    Proposal,
    Sampler,
    State,
    TrialResult,
    check_origin,
    check_same,
    snapshot_header,
)
from dropsmith.pattern_search.samplers.snapshots import (
    TrialsSnapshot,
    check_values,
    tokens_and_numbers,
)
from dropsmith.pattern_search.spaces.space import Space, Tokens
from dropsmith.rng import Key

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from dropsmith.pattern_search.samplers.in_memory_study import InMemoryStudy


class _OptunaSampler(Sampler):
    """The common part of the three; each names its sampler of Optuna's."""

    def __init__(self, space: Space, *, seed: int = 0) -> None:
        check_origin(space, seed)
        self.space, self.seed = space, seed
        self._results: list[tuple[Tokens, float]] = []
        self._study = _new_study(space)

    @abstractmethod
    def _sampler(self, seed: int) -> "BaseSampler":
        """Optuna's sampler, its generator seeded."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """The arguments of `__init__` beside space and seed."""

    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        """Propose the tokens of trial `number`; the trials that run now make no difference."""
        return Proposal(self._study.ask(self._sampler(_optuna_seed(self.seed, number))))

    def tell(self, result: TrialResult) -> None:
        """Learn of a trial's result; nothing is learned from a trial without a score."""
        self.space.check(result.proposal.tokens)
        if result.score is not None:
            self._add(result.proposal.tokens, result.score)

    def state(self) -> State:
        """The trials that had a score, in the order they were told."""
        trials = [[list(tokens), score] for tokens, score in self._results]
        return snapshot_header(self, self._settings()) | {"trials": trials}

    def restore(self, state: State) -> None:
        """Tell again what the snapshot holds."""
        check_same(self, self._settings(), state)
        check_values(state, TrialsSnapshot)
        results = tokens_and_numbers("trials", state["trials"], self.space, 1)
        self._results, self._study = [], _new_study(self.space)
        for tokens, score in results:
            self._add(tokens, score)

    def _add(self, tokens: Tokens, score: float) -> None:
        self._results.append((tokens, score))
        self._study.add(self._sampler(0), tokens, score)


class RandomSampler(_OptunaSampler):
    """Every plan of the space with the same chance, whatever the results.

    Args:
        space: the space it proposes from.
        seed: of the draws.
    """

    name: ClassVar[str] = "random"

    def _settings(self) -> dict[str, Any]:
        return {}

    def _sampler(self, seed: int) -> "BaseSampler":
        from optuna.samplers import RandomSampler as Random

        return Random(seed=seed)


class TPE(_OptunaSampler):
    """Tree-structured Parzen estimators over all choices together (Bergstra et al. 2011).

    Args:
        space: the space it proposes from.
        seed: of the draws.
        startup: trials with a score before it learns from them; Optuna's default.
        candidates: plans drawn from the better ones' density, of which the best is proposed;
            Optuna's default.
    """

    name: ClassVar[str] = "tpe"

    def __init__(
        self, space: Space, *, seed: int = 0, startup: int = 10, candidates: int = 24
    ) -> None:
        super().__init__(space, seed=seed)
        check_whole("startup", startup, 0, SearchError)
        check_whole("candidates", candidates, 1, SearchError)
        self.startup, self.candidates = startup, candidates

    def _settings(self) -> dict[str, Any]:
        return {"startup": self.startup, "candidates": self.candidates}

    def _sampler(self, seed: int) -> "BaseSampler":
        from optuna.samplers import TPESampler

        return TPESampler(
            seed=seed,
            n_startup_trials=self.startup,
            n_ei_candidates=self.candidates,
            multivariate=True,
        )


class Evolution(_OptunaSampler):
    """Generations of plans: the best are parents, choices cross over and mutate.

    It is Optuna's NSGA-II with the score as its one objective. A trial belongs to the generation
    during which its result came.

    Args:
        space: the space it proposes from.
        seed: of the draws.
        population: plans of a generation. Optuna's default of 50 leaves a search of a few hundred
            trials few generations; 20 is ours.
        crossover: chance that a plan has two parents; Optuna's default.
    """

    name: ClassVar[str] = "evolution"

    def __init__(
        self, space: Space, *, seed: int = 0, population: int = 20, crossover: float = 0.9
    ) -> None:
        check_whole("population", population, 2, SearchError)
        check_number("crossover", crossover, SearchError, most=1)
        super().__init__(space, seed=seed)
        self.population, self.crossover = population, crossover

    def _settings(self) -> dict[str, Any]:
        return {"population": self.population, "crossover": self.crossover}

    def _sampler(self, seed: int) -> "BaseSampler":
        from dropsmith.pattern_search.samplers.in_memory_study import GenerationsByResult

        return GenerationsByResult(
            seed=seed, population_size=self.population, crossover_prob=self.crossover
        )


def _new_study(space: Space) -> "InMemoryStudy":
    try:
        from dropsmith.pattern_search.samplers.in_memory_study import InMemoryStudy
    except ModuleNotFoundError as error:
        raise SearchError(f"this sampler needs optuna: {error}\n  pip install optuna") from None
    return InMemoryStudy(space)


def _optuna_seed(seed: int, number: int) -> int:
    """A 32-bit seed that depends on both."""
    key = Key.of(seed).fold(number)
    assert isinstance(key.first, int)
    return key.first
