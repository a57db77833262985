"""One valid input of every kind that the library reads, and the way it is read."""

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from compare.synthetic import LOSSES, comparison
from dropsmith.compare import Comparison
from dropsmith.learn import Problem, Searches
from dropsmith.pattern_search import search
from dropsmith.patterns import Bernoulli, DropBlock, LinearRate
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record
from dropsmith.report import page, search_page
from dropsmith.run_folder import FinishedRun, load
from dropsmith.tasks import find_task
from dropsmith.train import Start
from dropsmith.train.checkpoint import Checkpoint
from dropsmith.train.state import State
from learn.small import problem, searched, trial
from pattern_search.small import SPACE, by_rates
from run_folder.finished import finished_run, write_texts


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Args:
        make: writes a valid one into an empty folder, and returns the path that is broken.
        read: reads the one in a folder, as its users do.
        is_json: whether its values may be broken one by one, and not only its bytes.
        share: of the number of inputs that other kinds have; less where reading takes long.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    is_json: bool = False
    share: float = 1.0


def _plan(folder: Path) -> Path:
    schedule = LinearRate(start=0.1, end=0.5, steps=10)
    rules = rule("encoder.*", Bernoulli(rate=0.1)), rule("**.dropout", DropBlock(rate=0.2, size=3))
    Plan(*rules, rule("head", Bernoulli(rate=schedule, shared="time"))).save(folder / "plan.json")
    return folder / "plan.json"


@cache
def _comparison_value() -> Comparison:
    return comparison(LOSSES)


def _comparison(folder: Path) -> Path:
    for record in _comparison_value().records:
        record.save(folder)
    _comparison_value().save(folder)
    return folder / "comparison.json"


def _record_of_comparison(folder: Path) -> Path:
    _comparison(folder)
    return min(path for path in folder.glob("*.json") if path.name != "comparison.json")


def _page(folder: Path) -> str:
    return page(Comparison.load(folder))


def _record(folder: Path) -> Path:
    return next(iter(_comparison_value().records)).save(folder)


def _only_json(folder: Path) -> Path:
    return next(folder.glob("*.json"))


@cache
def _problem_value() -> Problem:
    return problem()


def _problem(folder: Path) -> Path:
    _problem_value().bind(folder)
    return _only_json(folder)


def _searches(folder: Path) -> Path:
    _problem_value().bind(folder)
    trials = trial(0, (0, 0, 0), 0.5, reports=((1, 0.7),)), trial(1, (2, 0, 1), 0.3)
    return searched(*trials, pruner="median").save(folder, _problem_value())


def _searches_page(folder: Path) -> str:
    return search_page(Searches.load(folder))


_IDENTITY = {"config": {"task": "digits", "seed": 0}, "data_sha256": "0" * 64}


def _checkpoint(folder: Path) -> Path:
    run = _state()
    run.curve, run.step = [{"step": 1, "validation_nll": 0.5}], 3
    run.keep_best(0.5)
    run.window_state = {"state": (torch.ones(2), None, {"a": torch.zeros(1)})}
    return run.checkpoint(_IDENTITY).save(folder)


def _resume(folder: Path) -> None:
    loaded = Checkpoint.load(folder, _IDENTITY)
    assert loaded is not None
    _state().resume(loaded)


def _state() -> State:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return State(model, torch.optim.AdamW(model.parameters()))


def _weights(folder: Path) -> Path:
    save_file(nn.Linear(3, 2).state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


@cache
def _digits() -> Any:
    return find_task("digits").load(None, 60)


def _start(folder: Path) -> None:
    Start.of(folder / "model.safetensors").load_into(nn.Linear(3, 2), _digits())


def _study(name: str, folder: Path) -> Path:
    _search(name, folder, 3)
    return folder / "study"


def _search(name: str, folder: Path, trials: int) -> object:
    storage = f"{name}{folder / 'study'}"
    return search(
        by_rates, SPACE, trials=trials, executor="serial", storage=storage, sampler="random"
    )


_ROWS = [
    (f"{word} text number {i}", label)
    for i in range(30)
    for word, label in (("good", "positive"), ("bad", "negative"))
]


def _csv(folder: Path) -> Path:
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *_ROWS])
    return folder / "table.csv"


def _jsonl(folder: Path) -> Path:
    lines = (json.dumps({"text": text, "label": label}) + "\n" for text, label in _ROWS)
    (folder / "table.jsonl").write_text("".join(lines))
    return folder / "table.jsonl"


def _gzip(folder: Path) -> Path:
    data = _csv(folder).read_bytes()
    (folder / "table.csv").unlink()
    (folder / "table.csv.gz").write_bytes(gzip.compress(data, mtime=0))
    return folder / "table.csv.gz"


def _table(folder: Path) -> object:
    return find_task(str(next(folder.glob("table*")))).load(None, None)


def _pictures(suffix: str, folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 255, (5, 4, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}{suffix}")
    return folder / "pictures" / "cat" / f"3{suffix}"


def _picture_folder(folder: Path) -> object:
    return find_task(str(folder / "pictures")).load(None, None)


@cache
def _finished_run() -> FinishedRun:
    with TemporaryDirectory() as place:
        return finished_run(str(write_texts(Path(place) / "texts.csv", rows=50)))[0]


def _run_folder(name: str, folder: Path) -> Path:
    _finished_run().write(folder)
    return folder / name


def _predict(folder: Path) -> object:
    return load(folder).predict([{"text": "so good"}], samples=0).to_table()


KINDS: dict[str, Kind] = {
    "plan": Kind(_plan, lambda folder: repr(Plan.load(folder / "plan.json")), is_json=True),
    "record": Kind(_record, lambda folder: Record.load(_only_json(folder)), is_json=True),
    "comparison": Kind(_comparison, Comparison.load, is_json=True),
    "record of a comparison": Kind(_record_of_comparison, Comparison.load, is_json=True),
    "page of a comparison": Kind(_comparison, _page, is_json=True, share=0.1),
    "page with a record": Kind(_record_of_comparison, _page, is_json=True, share=0.1),
    "problem": Kind(_problem, Problem.load, is_json=True),
    "search": Kind(_searches, Searches.load, is_json=True),
    "page of a search": Kind(_searches, _searches_page, is_json=True, share=0.1),
    "checkpoint": Kind(_checkpoint, _resume),
    "weights": Kind(_weights, _start),
    "configuration of a run": Kind(partial(_run_folder, "config.json"), _predict, is_json=True),
    "preprocessing": Kind(partial(_run_folder, "preprocessing.json"), _predict, is_json=True),
    "record in a run's folder": Kind(
        partial(_run_folder, "record.json"), _predict, is_json=True, share=0.1
    ),
    "plan in a run's folder": Kind(
        partial(_run_folder, "plan.json"), _predict, is_json=True, share=0.1
    ),
    "weights in a run's folder": Kind(
        partial(_run_folder, "model.safetensors"), _predict, share=0.1
    ),
    "journal": Kind(partial(_study, "journal:"), partial(_search, "journal:", trials=4)),
    "database": Kind(partial(_study, "sqlite:///"), partial(_search, "sqlite:///", trials=4)),
    "table": Kind(_csv, _table),
    "table of lines": Kind(_jsonl, _table),
    "compressed table": Kind(_gzip, _table),
    "png": Kind(partial(_pictures, ".png"), _picture_folder),
    "jpeg": Kind(partial(_pictures, ".jpg"), _picture_folder),
    "gif": Kind(partial(_pictures, ".gif"), _picture_folder),
    "tiff": Kind(partial(_pictures, ".tiff"), _picture_folder),
    "webp": Kind(partial(_pictures, ".webp"), _picture_folder),
}
