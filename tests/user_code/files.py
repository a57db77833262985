"""A file of a user's own with one of each that can be named on the command line."""

FILE = '''
from dataclasses import dataclass, fields, replace

import torch

import dropsmith as ds
from dropsmith.compare import Method
from dropsmith.objectives import TaskLoss
from dropsmith.patterns import Pattern, Schedule
from dropsmith.pattern_search import RandomSampler
from dropsmith.rng import uniform
from dropsmith.tasks import find_task


def cosine(a, b):
    return 1 - torch.cosine_similarity(a, b, dim=-1)


@dataclass(frozen=True, kw_only=True, repr=False)
class Cosine(ds.ConsistencyObjective):
    """Two views whose scores point the same way.

    Args:
        weight: the factor of the distance.
    """

    weight: float = 1.0

    @property
    def consistency_term(self):
        return ds.ConsistencyTerm(weight=self.weight, distance=cosine)


class NoDefault(Cosine):
    """An objective whose class needs an argument."""

    def __init__(self, weight):
        super().__init__(weight=weight)


@dataclass(frozen=True, kw_only=True, repr=False)
class Failing(Cosine):
    def terms(self, views, loss):
        return {}["nothing"]


HALF = Cosine(weight=0.5)
METHOD = Method(
    about="dropout at rates of mine",
    source="me",
    noise="dropout",
    objective=TaskLoss,
    views=1,
    settings=({"rate": 0.2}, {"rate": 0.4}),
)


@dataclass(frozen=True, kw_only=True)
class Stripes(Pattern):
    rate: float | Schedule

    def draw(self, axes, source):
        sizes = axes.collapse("width")
        rate = self.rate_at(source.step)
        return (uniform(source, sizes) >= rate).float() / (1 - rate)


@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    first: float

    def at(self, step):
        return self.first


class Sampler(RandomSampler):
    """Random, under another name."""


def no_sampler(space, seed):
    return space


TASK = replace(find_task("digits"), name="mine")
NUMBER = 3


class Unreadable(type(TASK)):
    def load(self, data=None, limit=None):
        return {}["here"]


class Loads(type(TASK)):
    def load(self, data=None, limit=None):
        return [1, 2]


UNREADABLE, LOADS = (
    cls(**{field.name: getattr(TASK, field.name) for field in fields(TASK)})
    for cls in (Unreadable, Loads)
)
'''


def write(folder, name, text=FILE):
    """Write a module into a folder; its name is returned."""
    (folder / f"{name}.py").write_text(text)
    return name


def line_of(text):
    """The number of the line that holds a text."""
    return 1 + FILE[: FILE.index(text)].count("\n")
