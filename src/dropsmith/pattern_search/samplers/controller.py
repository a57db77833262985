"""The learned controller: a Transformer proposes a plan token by token, scores are its reward.

From the paper of AutoDropout (Pham & Le 2021) comes that the controller is a Transformer that
generates tokens like a language model; its code was never published. REINFORCE with weights for
trials of older policies, and all numbers, are ours.
"""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from math import isfinite, prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from dropsmith.errors import SearchError
from dropsmith.instances import check_type
from dropsmith.pattern_search.samplers.drawing import RecentTokens, draw_tokens
from dropsmith.pattern_search.samplers.learning import (
    Learning,
    advantages,
    entropy,
    importance_weights,
    surrogate,
)
from dropsmith.pattern_search.samplers.policy import Policy
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
    ControllerSnapshot,
    check_tensors,
    check_tokens,
    check_values,
    tokens_and_numbers,
)
from dropsmith.pattern_search.spaces.space import Space, Tokens
from dropsmith.rng import Key, Source, uniform


@dataclass(frozen=True)
class _ScoredTrial:
    """A trial with a score."""

    tokens: Tokens
    log_probability: float
    score: float


class Controller(Sampler):
    """Learns to propose plans by policy gradient, from tokens and scores alone.

    >>> from dropsmith.pattern_search.spaces.listed_space import ListedSpace
    >>> from dropsmith.pattern_search.spaces.space import Choice
    >>> space = ListedSpace((Choice("a", (1, 2, 3)), Choice("b", (4, 5))), ())
    >>> controller = Controller(space, seed=1)
    >>> controller.ask(0) == controller.ask(0)
    True

    Args:
        space: the space it proposes from.
        seed: its first weights and all its draws depend on it.
        learning: settings of its learning.
    """

    name: ClassVar[str] = "controller"

    def __init__(self, space: Space, *, seed: int = 0, learning: Learning | None = None) -> None:
        check_origin(space, seed)
        check_type("learning", learning, (Learning, type(None)), "a Learning, or None")
        self.space, self.seed, self.learning = space, seed, learning or Learning()
        self.policy = _policy(space, seed, self.learning)
        self.optimiser = torch.optim.Adam(
            self.policy.parameters(), lr=self.learning.rate, fused=True
        )
        self.version = 0
        self._score_count, self._average = 0, 0.0
        self._memory: list[_ScoredTrial] = []
        self._recent = self._no_recent_tokens()
        self._recent_probabilities: tuple[Tensor, Tensor] | None = None

    @property
    def baseline(self) -> float:
        """The moving average of the scores told so far."""
        return (
            self._average / (1 - self.learning.decay**self._score_count)
            if self._score_count
            else 0.0
        )

    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        """Propose the tokens of trial `number`; none that run now while others are left."""
        source = Source(Key.of(self.seed).fold(number))
        draws = uniform(source, (len(self.space.choices),)).tolist()
        tokens, log_probability = draw_tokens(self.policy, draws, self._exclusions(running))
        return Proposal(tokens, self.version, log_probability)

    def tell(self, result: TrialResult) -> None:
        """Learn of a trial's result; updates begin as soon as enough trials have a score."""
        tokens = result.proposal.tokens
        self.space.check(tokens)
        self._recent_probabilities = None
        self._recent.add(tokens)
        if result.score is None:
            return
        self._score_count += 1
        self._average += (1 - self.learning.decay) * (result.score - self._average)
        self._memory.append(_ScoredTrial(tokens, result.proposal.log_probability, result.score))
        del self._memory[: -self.learning.memory]
        if (
            self._score_count >= self.learning.warmup
            and self._score_count % self.learning.every == 0
        ):
            self._update()

    def _exclusions(self, running: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """The tokens that are not to be proposed, tried or running now, and their probabilities."""
        if self._recent_probabilities is None:
            self._recent_probabilities = self._recent.probabilities(self.policy)
        if not running or not self.learning.distinct:
            return self._recent_probabilities
        recent, current = self._recent.rows, RecentTokens(len(self.space.choices), len(running))
        fresh = len(recent.keys() | set(running)) < prod(self.policy.counts)
        for tokens in running:
            if not (fresh and tokens in recent):
                current.add(tokens)
        rows, chances = current.probabilities(self.policy)
        if not fresh:  # something is proposed twice: better an ended trial than a running one
            return rows, chances
        return torch.cat([self._recent_probabilities[0], rows]), torch.cat(
            [self._recent_probabilities[1], chances]
        )

    def _no_recent_tokens(self) -> RecentTokens:
        return RecentTokens(len(self.space.choices), self.learning.distinct)

    def _update(self) -> None:
        tokens = torch.tensor([trial.tokens for trial in self._memory])
        old_log_probability = torch.tensor([trial.log_probability for trial in self._memory])
        scores = torch.tensor([trial.score for trial in self._memory], dtype=torch.float64)
        advantage = advantages(scores, self.baseline).float()
        for _ in range(self.learning.steps):
            table = self.policy(tokens)
            log_probability = table.gather(-1, tokens[..., None]).squeeze(-1).sum(-1)
            weight = importance_weights(log_probability, old_log_probability, self.learning.clip)
            gain = surrogate(log_probability, weight, advantage)
            loss = -gain - self.learning.entropy * entropy(table)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        self.version += 1

    def state(self) -> State:
        """Weights, optimiser, baseline, what it learns from and what was tried."""
        return (
            snapshot_header(self, asdict(self.learning))
            | {
                "version": self.version,
                "scored": self._score_count,
                "average": self._average,
                "memory": [list(astuple(trial)) for trial in self._memory],
                "tried": [list(tokens) for tokens in self._recent.rows],
            }
            | {f"policy.{name}": value.clone() for name, value in self.policy.state_dict().items()}
            | _adam_state(self.optimiser)
        )

    def restore(self, state: State) -> None:
        """Go on exactly from a snapshot."""
        check_same(self, asdict(self.learning), state)
        check_values(state, ControllerSnapshot)
        if not isfinite(state["average"]):
            raise SearchError(f"field average should be finite, but is {state['average']}")
        memory = tokens_and_numbers("memory", state["memory"], self.space, 2)
        tried = [
            check_tokens(f"field tried.{index}", tokens, self.space)
            for index, tokens in enumerate(state["tried"])
        ]
        policy, optimiser = (_with_prefix(name, state) for name in ("policy", "optimiser"))
        check_tensors("policy", policy, self.policy.state_dict())
        check_tensors("optimiser", optimiser, self._adam_tensors() if optimiser else {})
        self.policy.load_state_dict(policy)
        _load_adam(self.optimiser, optimiser)
        self.version, self._score_count = state["version"], state["scored"]
        self._average = state["average"]
        self._memory = [_ScoredTrial(tokens, *numbers) for tokens, *numbers in memory]
        self._recent = self._no_recent_tokens()
        for tokens in tried:
            self._recent.add(tokens)
        self._recent_probabilities = None

    def _adam_tensors(self) -> dict[str, Tensor]:
        """Tensors like those that the optimiser has after its first step."""
        return {
            f"{index}.{name}": torch.zeros(()) if name == "step" else weight
            for index, weight in enumerate(self.policy.parameters())
            for name in ("step", "exp_avg", "exp_avg_sq")
        }


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


def _with_prefix(name: str, state: State) -> dict[str, Tensor]:
    head = f"{name}."
    return {key.removeprefix(head): value for key, value in state.items() if key.startswith(head)}


def _adam_state(optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    return {
        f"optimiser.{index}.{name}": value.clone()
        for index, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }


def _load_adam(optimiser: torch.optim.Adam, values: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in values.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = value.clone()
    groups: list[Any] = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
