"""What proposes the next trial, and learns from how the last ones went."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

from dropsmith.errors import SearchError
from dropsmith.search.space import Space, Tokens

State = dict[str, Any]
"""A snapshot by name: each value is a tensor or a JSON value, so that no file of it runs code."""


@dataclass(frozen=True)
class Proposal:
    """What to try.

    Args:
        tokens: for each choice, the index of its value.
        version: how many updates the policy that proposed it had seen; 0 where none is learned.
        log_probability: with which they were drawn; 0 where none is learned.
    """

    tokens: Tokens
    version: int = 0
    log_probability: float = 0.0


@dataclass(frozen=True)
class Told:
    """How a trial went.

    Args:
        number: the trial's.
        proposal: what was tried.
        score: higher is better; None where the trial failed or was stopped without one.

    Raises:
        SearchError: the score is not finite, which would spoil every average it entered.
    """

    number: int
    proposal: Proposal
    score: float | None

    def __post_init__(self) -> None:
        if self.score is not None and not isfinite(self.score):
            raise SearchError(
                f"trial {self.number} has a score of {self.score}\n"
                "  tell None of a trial that failed"
            )


class Sampler(ABC):
    """Ask and tell: it sees tokens and numbers, never models.

    `ask` is a function of the seed, the trial's number, what runs now, and what was told so far in
    the order it was told: asking again gives the same proposal, and asking changes nothing.

    Attributes:
        name: what it is called in `SAMPLERS` and in a study.
        space: what it proposes from.
        seed: what its draws depend on.
    """

    name: ClassVar[str]
    space: Space
    seed: int

    @abstractmethod
    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        """What to try in trial `number`.

        Args:
            number: the trial's.
            running: the tokens of the trials that run now, which a sampler may avoid.
        """

    @abstractmethod
    def tell(self, told: Told) -> None:
        """How a trial went; a trial without a score carries no reward."""

    @abstractmethod
    def state(self) -> State:
        """Everything `restore` needs to go on exactly from here."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go on from a snapshot that a sampler with the same settings made.

        Raises:
            SearchError: the snapshot is of another sampler, space or seed.
        """
