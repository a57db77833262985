"""A training step of R-Drop against a plain step on a batch of twice the rows.

The rest is the price of the consistency term: at most 1.03 times is asked. `published` is the form
that code of the paper's authors takes: the batch concatenated with itself, and two softmaxes, two
log-softmaxes and two calls of `kl_div` over its halves.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from benchmarks._models import Encoder
from torch import Tensor, nn

from dropsmith.consistency import consistent
from dropsmith.objectives import RDrop
from dropsmith.objectives.losses import classification
from dropsmith.passes import logits_of, views
from dropsmith.terms import Loss

ALPHA = 5.0
Loss_ = Callable[[], Tensor]


def task(output: object, batch: dict[str, Tensor]) -> Loss:
    """Cross-entropy of the scores of one view."""
    return classification(logits_of(output), batch["labels"])


def twice_the_rows(model: nn.Module, ids: Tensor, labels: Tensor) -> Loss_:
    """What training costs without a consistency term."""
    both, targets = torch.cat([ids, ids]), torch.cat([labels, labels]).flatten()
    return lambda: F.cross_entropy(model(both).flatten(0, -2), targets)


def by_views(model: nn.Module, ids: Tensor, labels: Tensor) -> Loss_:
    """Views and the objective, by hand."""
    objective = RDrop(alpha=ALPHA)
    batch = {"ids": ids, "labels": labels}
    return lambda: objective.total(objective.terms(views(model, batch), task), 1)


def by_consistent(model: nn.Module, ids: Tensor, labels: Tensor) -> Loss_:
    """The same inside the model's own loss."""
    consistent(model, RDrop(alpha=ALPHA), loss=task)
    return lambda: model(ids, labels=labels).loss


def published(model: nn.Module, ids: Tensor, labels: Tensor) -> Loss_:
    """The paper's own way."""
    both, targets = torch.cat([ids, ids]), torch.cat([labels, labels]).flatten()

    def loss() -> Tensor:
        logits = model(both)
        p, q = logits.chunk(2)
        forth = F.kl_div(F.log_softmax(p, -1), F.softmax(q, -1), reduction="none").sum()
        back = F.kl_div(F.log_softmax(q, -1), F.softmax(p, -1), reduction="none").sum()
        cross_entropy = F.cross_entropy(logits.flatten(0, -2), targets)
        return cross_entropy + ALPHA / 2 * (forth + back) / 2 / labels.numel()

    return loss


def comparison(name: str, rows: int, time: int, outputs: int, each: bool) -> Comparison:
    """Every way on one model."""

    def ways(device: torch.device) -> dict[str, Call]:
        ids = torch.randint(8000, (rows, time), device=device)
        labels = torch.randint(outputs, (rows, time) if each else (rows,), device=device)
        makers = {
            "plain, twice the rows": twice_the_rows,
            "views + RDrop": by_views,
            "consistent": by_consistent,
            "published": published,
        }
        return {
            way: step(make, Encoder(outputs=outputs, each=each).to(device).train(), ids, labels)
            for way, make in makers.items()
        }

    sizes = f"{rows} × {time} words, {outputs} classes"
    targets = {"views + RDrop": 1.03, "consistent": 1.03}
    return Comparison(name=f"{name}: {sizes}", ways=ways, targets=targets, threads=2)


def step(
    make: Callable[[nn.Module, Tensor, Tensor], Loss_], model: nn.Module, *data: Tensor
) -> Call:
    """Forward, loss and backward; the optimiser's part is the same for all and left out."""
    loss = make(model, *data)

    def call() -> None:
        loss().backward()
        model.zero_grad(set_to_none=True)

    return call


CASE = Case(
    name="r_drop_step",
    tests=("tests/objectives/test_r_drop.py", "tests/consistency"),
    comparisons=(
        comparison("classifier", rows=16, time=64, outputs=4, each=False),
        comparison("language model", rows=4, time=64, outputs=8000, each=True),
    ),
)

if __name__ == "__main__":
    main(CASE)
