"""What each of two processes does in the tests of sharded and of copied models."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from adapters.by_hand import ALPHA, PLAN
from adapters.texts import encoder
from dropsmith.consistency import consistent
from dropsmith.objectives import RDrop

CASES = {"stacked": "auto", "looped": "looped", "copied": "auto"}
"""How views are made; `copied` is DistributedDataParallel, the others are FSDP2."""


def train(rank: int, folder: str, given: dict[str, Tensor]) -> None:
    """One step of a model on this process's half, for each case."""
    torch.set_num_threads(1)
    meeting = (Path(folder) / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    half = {name: value.chunk(2)[rank] for name, value in given.items()}
    found = {name: _step(name, half) for name in CASES}
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def _step(name: str, half: dict[str, Tensor]) -> dict[str, Any]:
    mode: Any = CASES[name]
    model = consistent(encoder(), RDrop(alpha=ALPHA), plan=PLAN, mode=mode, loss="tokens")
    parallel = DistributedDataParallel(model) if name == "copied" else _sharded(model)
    # As trainers do: over the items of both processes, against the mean of their gradients.
    items = (half["labels"] != -100).sum()
    dist.all_reduce(items)
    loss = 2 * parallel(**half, num_items_in_batch=items).loss
    loss.backward()
    found = {n: _whole(p.grad) for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), "gradients": found}


def _sharded(model: Any) -> Any:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (2,))
    for layer in model.encoder.layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def _whole(gradient: Any) -> Tensor:
    return gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
