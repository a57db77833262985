"""The price of a step in Python, on a net so small that little else is paid for.

Three linear layers of 64 units and two dropouts on 32 rows: R-Drop by `consistent`, and with both
sites keyed, against the step as one writes it out; a keyed site against the net's own forward and
backward, of which it may add 0.3; and `predict` against a loop of as many passes. The first call of
`predict` looks for what later ones may know already, so both are timed.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor, nn

import dropsmith as ds

UNITS, ROWS, RATE = 64, 32, 0.1
ALPHA = 1.0
SAMPLES = 50
SITES = ("1", "3")
PER_SITE = 0.3
"""Of the net's own forward and backward, what one keyed site may add."""


def net() -> nn.Sequential:
    """Three linear layers with dropout between them, in train mode."""
    first, second, head = (nn.Linear(UNITS, UNITS) for _ in range(3))
    return nn.Sequential(first, nn.Dropout(RATE), second, nn.Dropout(RATE), head).train()


def keyed_net() -> nn.Sequential:
    """The same net with both dropouts drawn by keys."""
    model = net()
    ds.Plan(*(ds.rule(site, ds.Bernoulli(rate=RATE)) for site in SITES)).install(model)
    return model


def data(device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and their labels."""
    return torch.randn(ROWS, UNITS, device=device), torch.randint(UNITS, (ROWS,), device=device)


def twice_the_rows(model: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """The task's loss alone, on as many rows as two views have."""
    both, targets = torch.cat([x, x]), torch.cat([labels, labels])
    return lambda: F.cross_entropy(model(both), targets)


def by_hand(model: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """R-Drop as one writes it: the batch stacked with itself, and the KL divergence both ways."""

    def loss() -> Tensor:
        logits = model(torch.cat([x, x]))
        log_p, log_q = logits.log_softmax(-1).chunk(2)
        forth = F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)
        back = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
        cross_entropy = F.cross_entropy(logits, torch.cat([labels, labels]))
        return cross_entropy + ALPHA / 2 * (forth + back) / 2

    return loss


def by_consistent(model: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """R-Drop inside the model's own loss."""
    ds.consistent(model, ds.RDrop(alpha=ALPHA), loss="classification")
    return lambda: model(x, labels=labels).loss


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Call:
    """Forward, loss and backward; the optimiser's part is the same for all and left out."""

    def call() -> None:
        loss().backward()
        model.zero_grad(set_to_none=True)

    return call


def r_drop(device: torch.device) -> dict[str, Call]:
    """A step of R-Drop, written out and by the library."""
    x, labels = data(device)
    ways = {
        "R-Drop by hand": (by_hand, net),
        "plain, twice the rows": (twice_the_rows, net),
        "consistent": (by_consistent, net),
        "consistent, both sites keyed": (by_consistent, keyed_net),
    }
    calls = {}
    for name, (make, model_of) in ways.items():
        model = model_of().to(device)
        calls[name] = step(model, make(model, x, labels))
    return calls


def keyed_sites(device: torch.device) -> dict[str, Call]:
    """Forward and backward of the net, and of the net with two keyed sites."""
    x, _ = data(device)

    def of(model: nn.Module) -> Call:
        return step(model, lambda: model(x).sum())

    return {"plain": of(net().to(device)), "two keyed sites": of(keyed_net().to(device))}


def loop(model: nn.Module, x: Tensor) -> Tensor:
    """The mean of the probabilities of many passes in train mode."""
    with torch.no_grad():
        return torch.stack([model(x).softmax(-1) for _ in range(SAMPLES)]).mean(0)


def first_predict(model: nn.Module, x: Tensor) -> ds.Prediction:
    """A prediction by a copy, which has predicted nothing yet; the copying is timed too."""
    return ds.predict(deepcopy(model), x, SAMPLES)


def predictions(device: torch.device) -> dict[str, Call]:
    """Fifty passes by hand, by the first `predict` of a model and by later ones."""
    x, _ = data(device)
    by_loop, by_predict, new = (net().to(device) for _ in range(3))
    return {
        "loop by hand": lambda: loop(by_loop, x),
        "predict": lambda: ds.predict(by_predict, x, SAMPLES),
        "predict, first call": lambda: first_predict(new, x),
    }


CASE = Case(
    name="small_step",
    tests=(
        "tests/benchmarks/test_small_step.py",
        "tests/objectives/test_r_drop.py",
        "tests/consistency/test_consistent.py",
        "tests/prediction/test_run_predict.py",
    ),
    comparisons=(
        Comparison(
            name=f"R-Drop, {ROWS} rows",
            ways=r_drop,
            targets={"consistent": 1.5, "consistent, both sites keyed": 2.0},
        ),
        Comparison(
            name=f"forward and backward, {ROWS} rows",
            ways=keyed_sites,
            targets={"two keyed sites": 1 + PER_SITE * len(SITES)},
        ),
        Comparison(
            name=f"prediction, {ROWS} rows, {SAMPLES} samples",
            ways=predictions,
            targets={"predict": 1.0},
        ),
    ),
    rounds=41,
)

if __name__ == "__main__":
    main(CASE)
