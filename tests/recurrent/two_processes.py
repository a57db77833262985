"""What each of two processes does in the test of DistributedDataParallel."""

from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import dropsmith as ds
from dropsmith.recurrent import LSTM

# One mask for all rows, so that halves of a batch are dropped like the whole of it.
PLAN = ds.Plan(
    ds.rule("root.recurrent", ds.Bernoulli(rate=0.4, shared="batch time gate")),
    ds.rule("weight_hh_l*", ds.DropConnect(rate=0.4)),
)
OWN = ds.Plan(ds.rule("root.recurrent", ds.Bernoulli(rate=0.4, shared="time gate")))
X = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(0))


def layer() -> LSTM:
    """The same layer in every process."""
    torch.manual_seed(0)
    return LSTM(3, 4, num_layers=2, batch_first=True)


def gradients(model: nn.Module, net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of every parameter of `net` after one step through `model`, which may wrap it."""
    model(x)[0].square().mean().backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def train(rank: int, folder: str) -> None:
    """Take a step on this process's half, and one on all rows with masks of this rank."""
    torch.set_num_threads(1)
    meeting = (Path(folder) / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    net = layer()
    PLAN.install(net, X, seed=1, rank=0)
    halves = gradients(DistributedDataParallel(net), net, X.chunk(2)[rank])
    own = layer()
    OWN.install(own, X, seed=1, rank=rank)
    output = DistributedDataParallel(own)(X)[0].detach()
    torch.save({"gradients": halves, "output": output}, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
