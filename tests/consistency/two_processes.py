"""What each of two processes does in the test of DistributedDataParallel."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import dropsmith as ds
from consistency.tiny import (
    ALIKE,
    PLAN,
    X,
    Y,
    gradients,
    integers,
    net,
    of_rows,
    of_tokens,
    token_net,
)
from dropsmith.consistency import consistent
from dropsmith.objectives import UDA, ExpectationLinear, RDrop

# Padding falls unevenly on the two halves.
LABELS = integers(20, 8, 5).masked_fill(torch.ones(8, 5).tril(-1).bool(), -100)
OBJECTIVES = {
    "stacked": RDrop(alpha=2.0),
    "looped": ExpectationLinear(kappa=0.5),
    "weights": RDrop(alpha=2.0),
    "tokens": RDrop(alpha=2.0),
    "mixed": UDA(weight=2.0, temperature=0.5, confidence=0.4),
}
PLANS = {
    "stacked": ALIKE,
    "looped": ALIKE,
    "weights": ds.Plan(ds.rule("0.weight", ds.DropConnect(rate=0.5))),
    "tokens": ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5, shared="batch time"))),
    "mixed": ALIKE,
}
MIXED = torch.tensor([0, -100, 2, 1, -100, -100, -100, 2])
"""Of four rows without a label three are on the second half."""
BATCHES = dict.fromkeys(OBJECTIVES, (X, Y)) | {
    "tokens": (integers(20, 8, 5, seed=1), LABELS),
    "mixed": (X, MIXED),
}


def train(rank: int, folder: str) -> None:
    """Take one step of each case on this process's half and write what came of it."""
    torch.set_num_threads(1)
    meeting = (Path(folder) / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    found = {name: _case(name, rank) for name in OBJECTIVES} | {"ranked": _ranked(rank)}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def _case(name: str, rank: int) -> dict[str, Any]:
    tokens = name == "tokens"
    model, loss = (token_net(), of_tokens) if tokens else (net(), of_rows)
    # The same masks on both, so that only the reduction differs from one process.
    consistent(model, OBJECTIVES[name], loss=loss, plan=PLANS[name], rank=0)
    parallel = DistributedDataParallel(model)
    x, labels = (part.chunk(2)[rank] for part in BATCHES[name])
    if tokens:
        items = torch.tensor(int((labels != -100).sum()))
        dist.all_reduce(items)
        # As trainers do: over the items of all processes, against the mean of their gradients.
        value = 2 * parallel(x, labels=labels, num_items_in_batch=items).loss
    else:
        value = parallel(x, labels=labels).loss
    value.backward()
    return {"loss": value.detach(), "gradients": gradients(model)}


def _ranked(rank: int) -> dict[str, Any]:
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN, rank=rank)
    parallel = DistributedDataParallel(model, find_unused_parameters=True)
    output = parallel(X, labels=Y)
    output.loss.backward()
    return {"logits": output.logits.detach(), "steps": ds.noise_of(parallel).step}
