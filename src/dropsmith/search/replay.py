"""Samplers compared without luck: the same table of scores, searched again from many seeds.

Training a plan is what costs. Where every plan of a space has been trained once, a search over it
is only looking up, and can be repeated until what is left of chance is known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dropsmith.errors import SearchError
from dropsmith.search.sampler import Sampler, Told
from dropsmith.search.space import Space, Tokens

Make = Callable[[Space, int], Sampler]
"""Makes a sampler of a space and a seed."""

Table = Mapping[Tokens, float]
"""The score of each plan that was trained; higher is better."""

Found = tuple[float, ...]
"""The best score so far, after each trial."""


def replay(space: Space, table: Table, make: Make, *, trials: int, seed: int = 0) -> Found:
    """One search over a table.

    >>> from dropsmith.search.from_optuna import RandomSampler
    >>> from dropsmith.search.listed import ListedSpace
    >>> from dropsmith.search.space import Choice
    >>> space = ListedSpace((Choice("a", (1, 2, 3)),), ())
    >>> table = {(0,): 0.1, (1,): 0.3, (2,): 0.2}
    >>> replay(space, table, lambda space, seed: RandomSampler(space, seed=seed), trials=20)[-1]
    0.3

    A proposal that the table does not hold is told as a trial without a score, and not counted.

    Args:
        space: what the sampler proposes from.
        table: the scores.
        make: makes the sampler.
        trials: how many proposals with a score there are.
        seed: the sampler's.

    Raises:
        SearchError: the table holds other tokens than the space, or too few of them to go on.
    """
    for tokens in table:
        space.check(tokens)
    sampler, best = make(space, seed), list[float]()
    for number in range(trials + _PATIENCE):
        proposal = sampler.ask(number)
        score = table.get(proposal.tokens)
        sampler.tell(Told(number, proposal, score))
        if score is not None:
            best.append(max([score, *best[-1:]]))
        if len(best) == trials:
            return tuple(best)
    raise SearchError(
        f"{len(best)} of {trials} trials had a score: the table holds {len(table)} of the "
        f"{space.size} plans of the space\n  train more of them, or ask for fewer trials"
    )


_PATIENCE = 5000
"""How many proposals may lie outside of a table."""


def shuffled(table: Table, *, trials: int, seed: int = 0) -> Found:
    """The plans of a table in a random order: random search that never tries one twice."""
    scores = list(table.values())
    if trials > len(scores):
        raise SearchError(f"{trials} trials of a table of {len(scores)} plans")
    drawn = np.random.default_rng(seed).permutation(scores)[:trials]
    return tuple(np.maximum.accumulate(drawn).tolist())


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The searches of one sampler from many seeds.

    Args:
        name: the sampler's.
        found: for each seed, the best score after each trial.
    """

    name: str
    found: tuple[Found, ...]

    def at(self, share: float) -> Found:
        """After each trial, the score that this share of the searches has not passed."""
        return tuple(np.quantile(np.array(self.found), share, axis=0).tolist())

    @property
    def median(self) -> Found:
        """After each trial, the best score of the search in the middle."""
        return self.at(0.5)

    def reached(self, score: float) -> int | None:
        """After how many trials the median has reached a score; None where it never does."""
        return first(self.median, score)

    def each_reached(self, score: float) -> tuple[int | None, ...]:
        """The same for each search."""
        return tuple(first(one, score) for one in self.found)

    def to_json(self, bands: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9)) -> dict[str, Any]:
        """Its bands as JSON values."""
        rows = {f"{share:g}": [round(score, 6) for score in self.at(share)] for share in bands}
        return {"name": self.name, "searches": len(self.found), "bands": rows}


def first(found: Found, score: float) -> int | None:
    """After how many trials a score is reached; None where it never is.

    >>> first((0.1, 0.4, 0.4), 0.3)
    2
    """
    return next((number for number, own in enumerate(found, start=1) if own >= score), None)
