"""Inputs of every kind, broken at random and read: a value or a sentence comes out."""

import json
import random
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from faults.inputs import KINDS, Kind
from faults.mutate import mutate_bytes, mutate_json
from faults.tally import Tally

Watch = Callable[[], None]


def break_inputs(count: int, folder: Path, seed: int = 0, watch: Watch | None = None) -> Tally:
    """Break and read so many inputs, of each kind its share.

    Args:
        count: of the broken inputs.
        folder: for the files, which go again.
        seed: of the mutations.
        watch: is called after each.
    """
    tally = Tally()
    total, begun, until = sum(kind.share for kind in KINDS.values()), 0, 0.0
    for number, (name, kind) in enumerate(KINDS.items()):
        until += count * kind.share / total
        share, begun = round(until) - begun, round(until)
        _break_kind(name, kind, share, folder / str(number), seed, tally, watch)
    return tally


def _break_kind(
    name: str, kind: Kind, count: int, folder: Path, seed: int, tally: Tally, watch: Watch | None
) -> None:
    whole = folder / "whole"
    whole.mkdir(parents=True)
    broken = kind.make(whole).relative_to(whole)
    data = (whole / broken).read_bytes()
    tally.add(f"{name}, whole", lambda: kind.read(_copy(whole, folder / "copy")))
    assert not tally.faults or "whole" not in tally.faults[-1], tally.faults[-1]
    for number in range(count):
        rng = random.Random(f"{seed} {name} {number}")
        if kind.is_json and rng.random() < 0.7:
            mutated = json.dumps(mutate_json(json.loads(data), rng)).encode()
        else:
            mutated = mutate_bytes(data, rng)
        copy = _copy(whole, folder / "copy")
        (copy / broken).write_bytes(mutated)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tally.add(f"{name}, seed {seed}, number {number}", partial(kind.read, copy))
        if watch is not None:
            watch()
    shutil.rmtree(folder)


def _copy(whole: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(whole, folder)
