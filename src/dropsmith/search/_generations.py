"""Optuna's NSGA-II, its generations ended by what is told rather than by what is asked."""

from optuna.samplers import NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class Generations(NSGAIISampler):
    """A sampler that gives a trial its generation and parents whether or not it draws for it.

    Optuna does so as it draws. A trial whose values are given would belong to no generation, and
    nothing would ever be bred.
    """

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        super().before_trial(study, trial)
        self.get_parent_population(study, self.get_trial_generation(study, trial))
