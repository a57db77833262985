"""Calls on shared models from a pool of threads: each returns what it would return alone."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import DropsmithError
from faults.tally import Tally

THREADS = 8


class Calls(nn.Module):
    """Dropout by calls, beside a normalisation that must keep its statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.dropout(self.norm(self.first(x)).relu(), 0.3, self.training)
        return self.last(hidden)


def _modules() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))


def _planned() -> nn.Module:
    model = _modules()
    ds.Plan(ds.rule("2", ds.Bernoulli(rate=0.4))).install(model)
    return model


def _attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    head = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    return nn.Sequential(nn.Linear(6, 8), nn.Unflatten(0, (-1, 1)), layer, head)


MODELS: tuple[Callable[[], nn.Module], ...] = (_modules, Calls, _planned, _attention)


def call_from_threads(count: int, seed: int = 0, watch: Any = None) -> Tally:
    """Make so many calls from a pool, and compare each with the same call made before, alone.

    Args:
        count: of the calls.
        seed: of their order.
        watch: is called after each.
    """
    torch.manual_seed(0)
    models = [make() for make in MODELS]
    calls = [
        partial(function, model, torch.randn(rows, 6))
        for model in models
        for rows in (2, 5)
        for function in (_mean, partial(_mean, samples=3, seed=1), _sites)
    ]
    alone = [call() for call in calls]
    states = [_state(model) for model in models]
    rng, tally = random.Random(f"threads {seed}"), Tally()
    order = [rng.randrange(len(calls)) for _ in range(count)]

    def outcome(number: int) -> str:
        try:
            return "read" if _equal(calls[number](), alone[number]) else "wrong number"
        except DropsmithError:
            return "refused"
        except Exception as error:
            return f"traceback: {type(error).__name__}: {error}"

    with ThreadPoolExecutor(THREADS) as pool:
        for number, result in zip(order, pool.map(outcome, order), strict=True):
            tally.outcomes[result.partition(":")[0]] += 1
            if result != "read":
                tally.faults.append(f"call {number}\n    {result}")
            if watch is not None:
                watch()
    for model, state in zip(models, states, strict=True):
        if not _equal(_state(model), state):
            tally.outcomes["model changed"] += 1
            tally.faults.append(f"{type(model).__name__}: another state than before")
    return tally


def _mean(model: nn.Module, x: torch.Tensor, samples: int = 5, seed: int = 0) -> torch.Tensor:
    return ds.predict(model, x, samples, seed=seed).mean


def _sites(model: nn.Module, x: torch.Tensor) -> list[str]:
    return [repr(site) for site in ds.sites(model, x)]


def _state(model: nn.Module) -> list[Any]:
    """Hooks, modes, settings, parameters and buffers."""
    plain = [
        (len(m._forward_hooks), len(m._forward_pre_hooks), m.training, getattr(m, "p", None))
        for m in model.modules()
    ]
    return [repr(plain), *(x.clone() for x in model.state_dict().values())]


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    return first == second
