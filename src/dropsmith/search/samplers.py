"""What a search can propose by, by name."""

from dropsmith.search.controller import Controller
from dropsmith.search.from_optuna import TPE, Evolution, RandomSampler
from dropsmith.search.sampler import Sampler

SAMPLERS: dict[str, type[Sampler]] = {
    "controller": Controller,
    "random": RandomSampler,
    "tpe": TPE,
    "evolution": Evolution,
}
