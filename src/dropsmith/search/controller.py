"""The learned controller: a Transformer proposes a plan token by token, scores are its reward.

That the controller of AutoDropout (Pham & Le 2021) is a Transformer that writes tokens like a
language model is the paper's; it was never published as code. That it learns by REINFORCE with
weights for trials of older policies is how the paper is remembered. All numbers here are ours.
"""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from dropsmith.rng import Key, Source, uniform
from dropsmith.search import reinforce
from dropsmith.search.drawing import Tried, drawn
from dropsmith.search.learning import Learning
from dropsmith.search.policy import Policy
from dropsmith.search.sampler import Proposal, Sampler, State, Told
from dropsmith.search.snapshot import check_same, head
from dropsmith.search.space import Space, Tokens


@dataclass(frozen=True)
class _Seen:
    """A trial with a score."""

    tokens: Tokens
    log_probability: float
    score: float


class Controller(Sampler):
    """Learns what to propose by policy gradient; asks and is told, and never sees a model.

    >>> from dropsmith.search.listed import ListedSpace
    >>> from dropsmith.search.space import Choice
    >>> space = ListedSpace((Choice("a", (1, 2, 3)), Choice("b", (4, 5))), ())
    >>> controller = Controller(space, seed=1)
    >>> controller.ask(0) == controller.ask(0)
    True

    Args:
        space: what it proposes from.
        seed: its first weights and all its draws depend on it.
        learning: how it learns.
    """

    name: ClassVar[str] = "controller"

    def __init__(self, space: Space, *, seed: int = 0, learning: Learning | None = None) -> None:
        self.space, self.seed, self.learning = space, seed, learning or Learning()
        self.policy = _policy(space, seed, self.learning)
        self.optimiser = torch.optim.Adam(
            self.policy.parameters(), lr=self.learning.rate, fused=True
        )
        self.version = 0
        self._scored, self._average = 0, 0.0
        self._memory: list[_Seen] = []
        self._tried = self._none_tried()
        self._chances: tuple[Tensor, Tensor] | None = None

    @property
    def baseline(self) -> float:
        """The moving average of the scores told so far."""
        return self._average / (1 - self.learning.decay**self._scored) if self._scored else 0.0

    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        """What to try in trial `number`; nothing that runs now while anything else is left."""
        source = Source(Key.of(self.seed).fold(number))
        draws = uniform(source, (len(self.space.choices),)).tolist()
        tokens, log_probability = drawn(self.policy, draws, self._taken(running))
        return Proposal(tokens, self.version, log_probability)

    def tell(self, told: Told) -> None:
        """How a trial went; it is learned from as soon as enough others have a score."""
        tokens = told.proposal.tokens
        self.space.check(tokens)
        self._chances = None
        self._tried.add(tokens)
        if told.score is None:
            return
        self._scored += 1
        self._average += (1 - self.learning.decay) * (told.score - self._average)
        self._memory.append(_Seen(tokens, told.proposal.log_probability, told.score))
        del self._memory[: -self.learning.memory]
        if self._scored >= self.learning.warmup and self._scored % self.learning.every == 0:
            self._update()

    def _taken(self, running: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """What is not to be proposed, and its chances: what was tried, and what runs now."""
        if self._chances is None:
            self._chances = self._tried.chances(self.policy)
        if not running or not self.learning.distinct:
            return self._chances
        tried, now = self._tried.rows, Tried(len(self.space.choices), len(running))
        fresh = len(tried.keys() | set(running)) < prod(self.policy.counts)
        for tokens in running:
            if not (fresh and tokens in tried):
                now.add(tokens)
        rows, chances = now.chances(self.policy)
        if not fresh:  # something is proposed twice: better what has ended than what runs
            return rows, chances
        return torch.cat([self._chances[0], rows]), torch.cat([self._chances[1], chances])

    def _none_tried(self) -> Tried:
        return Tried(len(self.space.choices), self.learning.distinct)

    def _update(self) -> None:
        tokens = torch.tensor([seen.tokens for seen in self._memory])
        then = torch.tensor([seen.log_probability for seen in self._memory])
        scores = torch.tensor([seen.score for seen in self._memory], dtype=torch.float64)
        advantage = reinforce.advantages(scores, self.baseline).float()
        for _ in range(self.learning.steps):
            table = self.policy(tokens)
            now = table.gather(-1, tokens[..., None]).squeeze(-1).sum(-1)
            weight = reinforce.weights(now, then, self.learning.clip)
            gain = reinforce.expected(now, weight, advantage)
            loss = -gain - self.learning.entropy * reinforce.entropy(table)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        self.version += 1

    def state(self) -> State:
        """Weights, optimiser, baseline, what it learns from and what was tried."""
        return (
            head(self, asdict(self.learning))
            | {
                "version": self.version,
                "scored": self._scored,
                "average": self._average,
                "memory": [list(astuple(seen)) for seen in self._memory],
                "tried": [list(tokens) for tokens in self._tried.rows],
            }
            | {f"policy.{name}": own.clone() for name, own in self.policy.state_dict().items()}
            | _adam_state(self.optimiser)
        )

    def restore(self, state: State) -> None:
        """Go on exactly from a snapshot."""
        check_same(self, asdict(self.learning), state)
        self.policy.load_state_dict(_below("policy", state))
        _load_adam(self.optimiser, _below("optimiser", state))
        self.version, self._scored = state["version"], state["scored"]
        self._average = state["average"]
        self._memory = [_Seen(tuple(tokens), *rest) for tokens, *rest in state["memory"]]
        self._tried = self._none_tried()
        for tokens in state["tried"]:
            self._tried.add(tuple(tokens))
        self._chances = None


def _policy(space: Space, seed: int, learning: Learning) -> Policy:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Policy(
            space.choices,
            width=learning.width,
            layers=learning.layers,
            heads=learning.heads,
            temperature=learning.temperature,
        )


def _below(name: str, state: State) -> dict[str, Tensor]:
    head = f"{name}."
    return {key.removeprefix(head): own for key, own in state.items() if key.startswith(head)}


def _adam_state(optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    return {
        f"optimiser.{index}.{name}": own.clone()
        for index, values in optimiser.state_dict()["state"].items()
        for name, own in values.items()
    }


def _load_adam(optimiser: torch.optim.Adam, values: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, own in values.items():
        index, _, what = name.partition(".")
        state.setdefault(int(index), {})[what] = own.clone()
    groups: list[Any] = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
