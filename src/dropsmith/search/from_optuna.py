"""Random search, TPE and an evolutionary sampler: Optuna's, behind ask and tell.

Optuna's samplers draw from a generator that every ask moves on. Here each ask makes a fresh one,
seeded by the sampler's seed and the trial's number, over a study in memory that holds what was
told: so an ask is a function of these, and a snapshot is what was told and nothing else. Tokens
are categories: what is learned about one value says nothing about the next.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dropsmith.errors import SearchError
from dropsmith.rng import Key
from dropsmith.search.sampler import Proposal, Sampler, State, Told
from dropsmith.search.snapshot import check_same, head
from dropsmith.search.space import Space, Tokens

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study


class _FromOptuna(Sampler):
    """What the three have in common; each says which sampler of Optuna's it is."""

    def __init__(self, space: Space, *, seed: int = 0) -> None:
        self.space, self.seed = space, seed
        self._told: list[tuple[Tokens, float]] = []
        self._study = _study_in_memory()

    @abstractmethod
    def _sampler(self, seed: int) -> "BaseSampler":
        """Optuna's sampler, its generator seeded."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """What `__init__` takes beside space and seed."""

    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        """What to try in trial `number`; what runs now makes no difference."""
        from optuna.trial import TrialState

        self._study.sampler = self._sampler(_number_of(self.seed, number))
        trial = self._study.ask(self._distributions())
        # Whoever asked may never tell. A failed trial is what Optuna's samplers do not look at.
        self._study.tell(trial, state=TrialState.FAIL)
        return Proposal(tuple(trial.params[choice.name] for choice in self.space.choices))

    def tell(self, told: Told) -> None:
        """How a trial went; nothing is learned from one without a score."""
        self.space.check(told.proposal.tokens)
        if told.score is not None:
            self._add(told.proposal.tokens, told.score)

    def state(self) -> State:
        """The trials that had a score, in the order they were told."""
        trials = [[list(tokens), score] for tokens, score in self._told]
        return head(self, self._settings()) | {"trials": trials}

    def restore(self, state: State) -> None:
        """Tell again what the snapshot holds."""
        check_same(self, self._settings(), state)
        self._told, self._study = [], _study_in_memory()
        for tokens, score in state["trials"]:
            self._add(tuple(tokens), score)

    def _add(self, tokens: Tokens, score: float) -> None:
        self._told.append((tokens, score))
        names = (choice.name for choice in self.space.choices)
        # By way of an ask: so a generation of the evolutionary sampler ends with what was told.
        self._study.sampler = self._sampler(0)
        self._study.enqueue_trial(dict(zip(names, tokens, strict=True)))
        self._study.tell(self._study.ask(self._distributions()), score)

    def _distributions(self) -> "dict[str, BaseDistribution]":
        from optuna.distributions import CategoricalDistribution

        return {
            choice.name: CategoricalDistribution(range(len(choice.values)))
            for choice in self.space.choices
        }


class RandomSampler(_FromOptuna):
    """Every plan of the space with the same chance, whatever was told.

    Args:
        space: what is proposed from.
        seed: what the draws depend on.
    """

    name: ClassVar[str] = "random"

    def _settings(self) -> dict[str, Any]:
        return {}

    def _sampler(self, seed: int) -> "BaseSampler":
        from optuna.samplers import RandomSampler as Random

        return Random(seed=seed)


class TPE(_FromOptuna):
    """Tree-structured Parzen estimators over all choices together (Bergstra et al. 2011).

    Args:
        space: what is proposed from.
        seed: what the draws depend on.
        startup: trials with a score before it learns from them; Optuna's default.
        candidates: plans drawn from the better ones' density, of which the best is proposed;
            Optuna's default.
    """

    name: ClassVar[str] = "tpe"

    def __init__(
        self, space: Space, *, seed: int = 0, startup: int = 10, candidates: int = 24
    ) -> None:
        super().__init__(space, seed=seed)
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


class Evolution(_FromOptuna):
    """Generations of plans: the best are parents, choices cross over and mutate.

    It is Optuna's NSGA-II with the score as its one objective. A trial belongs to the generation
    during which it was told.

    Args:
        space: what is proposed from.
        seed: what the draws depend on.
        population: plans of a generation. Optuna's default of 50 leaves a search of a few hundred
            trials few generations; 20 is ours.
        crossover: chance that a plan has two parents; Optuna's default.
    """

    name: ClassVar[str] = "evolution"

    def __init__(
        self, space: Space, *, seed: int = 0, population: int = 20, crossover: float = 0.9
    ) -> None:
        if population < 2:
            raise SearchError(f"a population is of 2 plans or more, got {population!r}")
        super().__init__(space, seed=seed)
        self.population, self.crossover = population, crossover

    def _settings(self) -> dict[str, Any]:
        return {"population": self.population, "crossover": self.crossover}

    def _sampler(self, seed: int) -> "BaseSampler":
        from dropsmith.search._generations import Generations

        return Generations(
            seed=seed, population_size=self.population, crossover_prob=self.crossover
        )


def _study_in_memory() -> "Study":
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise SearchError(f"this sampler needs optuna: {error}\n  pip install optuna") from None

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        # The default pruner stops trials; here nothing ever reports, and it is said so.
        pruner = optuna.pruners.NopPruner()
        return optuna.create_study(direction="maximize", pruner=pruner)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _number_of(seed: int, number: int) -> int:
    """A 32-bit seed that depends on both."""
    key = Key.of(seed).fold(number)
    assert isinstance(key.first, int)
    return key.first
