"""Small models, their noise, and the definitions of the losses that tests compare with."""

from copy import deepcopy
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dropsmith as ds
from dropsmith.objectives import Objective
from dropsmith.objectives.losses import classification, tokens
from dropsmith.terms import Loss

PLAN = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5)))
ALIKE = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5, shared="batch")))
"""Every row has the same mask, so that only views differ."""


def net() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))


def token_net() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Embedding(20, 16), nn.Tanh(), nn.Linear(16, 20))


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def integers(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


X, Y = seeded(8, 6), integers(3, 8)


def of_rows(output: Tensor, batch: dict[str, Tensor]) -> Loss:
    return classification(output, batch["labels"])


def of_tokens(output: Tensor, batch: dict[str, Tensor]) -> Loss:
    return tokens(output, batch["labels"])


def with_plan(model: nn.Module, plan: ds.Plan = PLAN, step: int = 0) -> nn.Module:
    """A copy with a plan, to make views of by hand."""
    model = deepcopy(model)
    plan.install(model)
    ds.step(model, step)
    return model


def passes(model: nn.Module, objective: Objective, x: Tensor = X) -> list[Tensor]:
    """The scores of each view in the next step, one forward after the other."""
    step = ds.noise_of(model).step + 1
    n, batch_fraction = objective.views_at(step), objective.batch_fraction
    noise_free = tuple(view for view in objective.noise_free if view < n)
    return list(
        ds.views(
            model, x, n, mode="looped", noise_free=noise_free, batch_fraction=batch_fraction
        ).outputs
    )


def cross_entropy(scores: list[Tensor], labels: Tensor = Y) -> Tensor:
    """Of all examples of all views, some of which may see fewer."""
    return F.cross_entropy(torch.cat(scores), torch.cat([labels[: len(z)] for z in scores]))


def symmetric(scores: list[Tensor]) -> Tensor:
    """Half the sum of both Kullback-Leibler divergences, averaged over pairs of views."""
    rows = min(len(z) for z in scores)
    logs = [z[:rows].log_softmax(-1) for z in scores]
    both = [_kl(a, b) / 2 + _kl(b, a) / 2 for a, b in combinations(logs, 2)]
    return torch.stack(both).mean()


def squared(scores: list[Tensor]) -> Tensor:
    return torch.stack([(a - b).square().mean() for a, b in combinations(scores, 2)]).mean()


def _kl(a: Tensor, b: Tensor) -> Tensor:
    return F.kl_div(b, a, log_target=True, reduction="batchmean")


def gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in model.parameters()]


def assert_equal_gradients(model: nn.Module, other: nn.Module, exactly: bool = False) -> None:
    tolerance = {"rtol": 0, "atol": 0} if exactly else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(gradients(model), gradients(other), **tolerance)
