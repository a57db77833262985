"""The study in memory that Optuna's samplers propose from, and its generations for evolution."""

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from dropsmith.pattern_search.spaces.space import Space, Tokens


class InMemoryStudy:
    """The scored trials of a search, from which a sampler of Optuna's proposes the next.

    Args:
        space: the space of the tokens.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._study = _quiet_study()

    def ask(self, sampler: BaseSampler) -> Tokens:
        """The tokens that a sampler proposes; the study stays as it is to every sampler."""
        self._study.sampler = sampler
        trial = self._study.ask(self._distributions())
        # Whoever asked may never tell. A failed trial is what Optuna's samplers do not look at.
        self._study.tell(trial, state=TrialState.FAIL)
        return tuple(trial.params[choice.name] for choice in self._space.choices)

    def add(self, sampler: BaseSampler, tokens: Tokens, score: float) -> None:
        """Add a trial with its score."""
        names = (choice.name for choice in self._space.choices)
        # By way of an ask: so a generation of the evolutionary sampler ends with its results.
        self._study.sampler = sampler
        self._study.enqueue_trial(dict(zip(names, tokens, strict=True)))
        self._study.tell(self._study.ask(self._distributions()), score)

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {
            choice.name: CategoricalDistribution(range(len(choice.values)))
            for choice in self._space.choices
        }


class GenerationsByResult(NSGAIISampler):
    """NSGA-II that gives a trial its generation and parents whether or not it draws for it.

    Optuna does so as it draws. A trial whose values are given would belong to no generation, and
    nothing would ever be bred.
    """

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        super().before_trial(study, trial)
        self.get_parent_population(study, self.get_trial_generation(study, trial))


def _quiet_study() -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        # The default pruner stops trials; here nothing ever reports, so none is wanted.
        pruner = optuna.pruners.NopPruner()
        return optuna.create_study(direction="maximize", pruner=pruner)
    finally:
        optuna.logging.set_verbosity(verbosity)
