"""R-Drop in two processes, each with a copy of the model (DDP) or a part of it (FSDP2).

`consistent` goes before either, and takes the rank: each process then has masks of its own. The
data are scikit-learn's handwritten digits, so nothing is downloaded, and two CPU processes do.
Sharded, torch warns that the output is a view; nothing here changes it in place.

    python examples/with_two_processes.py
    python examples/with_two_processes.py --sharded --alpha 2
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import dropsmith as ds
from dropsmith.tasks import Data, find_task

PROCESSES = 2


def main(argv: Sequence[str] | None = None) -> None:
    """Start both processes and wait for them."""
    args = arguments(argv)
    with tempfile.TemporaryDirectory() as folder:
        start = multiprocessing.spawn  # pyright: ignore[reportPrivateImportUsage]
        start(work, args=(folder, args), nprocs=PROCESSES)


def work(rank: int, folder: str, args: argparse.Namespace) -> None:
    """What each process does: make the model, train on its share of every batch, report."""
    torch.set_num_threads(1)
    meeting = (Path(folder) / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    torch.manual_seed(0)  # the same weights and order of the data in both
    task = find_task("digits")
    data, plan = task.load(limit=args.limit), task.plan("dropout", args.rate)
    objective = ds.RDrop(alpha=args.alpha)
    model = ds.consistent(task.model(data), objective, loss="classification", plan=plan, rank=rank)
    parallel = sharded(model) if args.sharded else DistributedDataParallel(model)
    train(parallel, data, rank, args.epochs)
    parts = ", ".join(f"{name} {mean.value:.3f}" for name, mean in ds.terms_of(model).items())
    said = [""] * PROCESSES
    dist.all_gather_object(said, f"process {rank}, its last batch: {parts}")
    right = accuracy(parallel, data)
    if rank == 0:  # one process writes, so that no line runs into another's
        print(*said, f"test accuracy {right:.1%}", sep="\n")
    dist.destroy_process_group()


def sharded(model: nn.Module) -> nn.Module:
    """The same model, of whose weights each process holds a part."""
    fully_shard(model)
    return model


def train(model: nn.Module, data: Data, rank: int, epochs: int) -> None:
    """An ordinary loop; backward averages the gradients of the processes."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.train)).split(50):
            batch = data.train.rows(rows[rank::PROCESSES])
            optimizer.zero_grad()
            model(batch["image"], labels=batch["labels"]).loss.backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, data: Data) -> float:
    """The share of test images that are read rightly, without noise."""
    batch = data.test.rows(slice(None))
    right = model.eval()(batch["image"]).argmax(-1) == batch["labels"]
    return float(right.float().mean())


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sharded", action="store_true", help="FSDP2 in place of DDP")
    parser.add_argument("--limit", type=int, help="use only this many training images")
    parser.add_argument("--alpha", type=float, default=1.0, help="R-Drop's coefficient")
    parser.add_argument("--rate", type=float, default=0.3, help="chance of dropping")
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
