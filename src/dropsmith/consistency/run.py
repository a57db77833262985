"""One training forward of a consistent model, from the batch it was given to its views."""

import inspect
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.consistency.task_loss import labels_of
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import Objective
from dropsmith.sites import Noise, Pass
from dropsmith.sites.batch import map_rows, rows_of
from dropsmith.sites.noise import ATTRIBUTE
from dropsmith.terms import Mean, Terms
from dropsmith.views import Views
from dropsmith.views.passes import cut, running, silenced


@dataclass
class Running:
    """What the hook before the forward leaves for the hook after it."""

    noise: Noise
    before: tuple[Pass, bool]
    batch: dict[str, Any]
    n: int
    looped: bool
    some: int
    step: int
    items: Any

    def finish(self) -> None:
        """The passes are over: the next forward of the root begins its own."""
        self.noise.current, self.noise.held = self.before

    def rescaled(self, terms: Terms) -> Terms:
        """Counts as shares of `num_items_in_batch`, where a trainer accumulates by it.

        Sums over all micro-batches of one optimiser step are then divided by that one number.
        """
        if self.items is None:
            return terms
        counts = torch.as_tensor(terms["task"].count) / max(self.n_carrying(terms), 1)
        factor = torch.as_tensor(self.items, dtype=torch.float32) / counts
        return {name: Mean(term.sum, term.count * factor) for name, term in terms.items()}

    def n_carrying(self, terms: Terms) -> int:
        """How many views the task term counts, as a whole number of batches."""
        own = _items(self.batch["labels"])
        return round(float(terms["task"].count) / own) if own else 1


def start(
    module: nn.Module, args: Any, kwargs: dict[str, Any], n: int, how: str, state: Any
) -> tuple[Running, tuple[Any, ...], dict[str, Any]]:
    """Begin the first pass, or all of them as one: its arguments, and what to remember."""
    noise: Noise = module.__dict__[ATTRIBUTE]
    given = _by_name(module, args, kwargs)
    labels_of(given)
    kwargs = dict(kwargs)
    items = kwargs.pop("num_items_in_batch", None)
    given.pop("num_items_in_batch", None)
    if not state.takes_labels:
        kwargs.pop("labels", None)
    rows = rows_of(given)
    share = state.objective.share if n > 1 else 1.0
    run = Running(
        noise=noise,
        before=(noise.current, noise.held),
        batch=given,
        n=n,
        looped=how == "looped" or share < 1,
        some=ceil(rows * share),
        step=noise.step,
        items=items,
    )
    quiet = tuple(view for view in state.objective.quiet if view < n)
    noise.held = True
    if run.looped:
        noise.current = Pass(views=(0,), quiet=quiet)
        return run, args, kwargs
    noise.current = Pass(views=tuple(range(n)), quiet=quiet, rows=rows * n)

    def repeat(x: Tensor) -> Tensor:
        return torch.cat([x] * n)

    if n == 1:
        return run, args, kwargs
    stacked_args, stacked_kwargs = map_rows(repeat, (tuple(args), kwargs))
    return run, stacked_args, stacked_kwargs


def extra_views(
    module: nn.Module, run: Running, args: Any, kwargs: Any, output: Any, objective: Objective
) -> Views:
    """The views of the forward that has ended, and of those still to be made."""
    part = run.batch
    if not run.looped:
        outputs = cut(output, [rows_of(run.batch)] * run.n)
        return Views(outputs=outputs, batches=(run.batch,) * run.n, shared_rows=rows_of(run.batch))
    if run.some < rows_of(run.batch):
        part = map_rows(lambda x: x[: run.some], run.batch)
        args, kwargs = map_rows(lambda x: x[: run.some], (tuple(args), kwargs))
    outputs = [output]
    for view in range(1, run.n):
        with running(run.noise, replace(run.noise.current, views=(view,), calls={})):
            if view in objective.quiet:
                with silenced(module):
                    outputs.append(module(*args, **kwargs))
            else:
                outputs.append(module(*args, **kwargs))
    batches = (run.batch,) + (part,) * (run.n - 1)
    return Views(outputs=tuple(outputs), batches=batches, shared_rows=run.some)


def _by_name(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    names = [
        name
        for name, p in inspect.signature(module.forward).parameters.items()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(args) > len(names):
        raise ObjectiveError(
            f"forward takes {len(names)} arguments by position and was given {len(args)}\n"
            "  give the arguments of a consistent model by name"
        )
    return dict(zip(names, args, strict=False)) | kwargs


def _items(labels: Any) -> int:
    if isinstance(labels, Tensor) and not labels.is_floating_point():
        return int((labels != -100).sum())
    return rows_of(labels)
