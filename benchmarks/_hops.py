"""The files and functions of a package that a call enters: as far as a reader follows it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dropsmith as ds

UNITS, CLASSES, ROWS, RATE = 8, 4, 6, 0.1
SAMPLES = 50


@dataclass(frozen=True)
class Hops:
    """How far a call leads into a package.

    Args:
        files: distinct files of which a function was entered.
        functions: distinct functions that were entered. Lambdas and comprehensions are not
            counted: some versions of Python have no call for a comprehension.
    """

    files: int
    functions: int


def hops(call: Callable[[], object], package: Path) -> Hops:
    """What one call enters of the package in a folder."""
    entered: set[CodeType] = set()

    def enter(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            entered.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        call()
    finally:
        sys.setprofile(before)
    functions = {
        (code.co_filename, code.co_qualname)
        for code in entered
        if Path(code.co_filename).is_relative_to(package) and not code.co_name.startswith("<")
    }
    return Hops(len({file for file, _ in functions}), len(functions))


class FunctionalNet(nn.Module):
    """A model that calls `F.dropout` in its own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `[batch, unit]`."""
        return self.head(F.dropout(self.hidden(x), RATE, self.training))


def three_layers() -> nn.Sequential:
    """A model with two dropout modules, `1` and `3`."""
    first, second = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, UNITS)
    head = nn.Linear(UNITS, CLASSES)
    return nn.Sequential(first, nn.Dropout(RATE), second, nn.Dropout(RATE), head)


def keyed_plan(*sites: str) -> ds.Plan:
    """A plan that draws the noise of these sites by keys."""
    return ds.Plan(*(ds.rule(site, ds.Bernoulli(rate=RATE)) for site in sites))


def of_functional_dropout(package: Path) -> Hops:
    """One `F.dropout` under a keyed rule: the second forward of the model that calls it."""
    model, x = FunctionalNet(), torch.randn(ROWS, UNITS)
    keyed_plan("root.dropout()").install(model, x)
    model(x)
    return hops(lambda: model(x), package)


def of_consistent_step(package: Path, *sites: str) -> Hops:
    """The second training step of a consistent model: its forward with the loss, and backward."""
    model, x = three_layers(), torch.randn(ROWS, UNITS)
    labels = torch.arange(ROWS) % CLASSES
    if sites:
        keyed_plan(*sites).install(model)
    ds.consistent(model, ds.RDrop(alpha=1.0), loss="classification")

    def step() -> None:
        model(x, labels=labels).loss.backward()

    step()
    return hops(step, package)


def of_audit(package: Path, *sites: str) -> Hops:
    """An audit of a model with two dropout modules."""
    model, x = three_layers(), torch.randn(ROWS, UNITS)
    if sites:
        keyed_plan(*sites).install(model)
    return hops(lambda: ds.audit(model, x), package)


def of_predict(package: Path, *, predictions_before: int = 0) -> Hops:
    """A prediction of a model with two dropout modules, the first or a later one."""
    model, x = three_layers(), torch.randn(ROWS, UNITS)
    for _ in range(predictions_before):
        ds.predict(model, x, SAMPLES)
    return hops(lambda: ds.predict(model, x, SAMPLES), package)


def traced(package: Path) -> dict[str, Hops]:
    """Every call that is traced, by what it is."""
    return {
        "F.dropout under a rule": of_functional_dropout(package),
        "a step of consistent": of_consistent_step(package),
        "audit": of_audit(package),
        "predict": of_predict(package),
        "a step of consistent, both sites keyed": of_consistent_step(package, "1", "3"),
        "audit, both sites keyed": of_audit(package, "1", "3"),
        "predict, the second call": of_predict(package, predictions_before=1),
    }
