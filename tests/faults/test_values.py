"""Files of values that are broken at random are read, or refused in a sentence that names them."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.compare import Comparison, Row, migrate_records
from dropsmith.errors import DropsmithError
from dropsmith.learn import Problem, Searches, problem
from dropsmith.learn.schemas import StoredSearch
from dropsmith.objectives import ActivationNorm, Fraternal, LRDrop, RDrop, SquaredDistance
from dropsmith.objectives import from_json as objective_from_json
from dropsmith.pattern_search import ConvTokens, SequenceTokens, space_from_json
from dropsmith.pattern_search.spaces.conv_space import ConvSpace
from dropsmith.pattern_search.spaces.group import Group
from dropsmith.pattern_search.spaces.sequence_space import SequenceSpace
from dropsmith.patterns import Bernoulli, CyclicRate, DropBlock, LinearRate, PerView, Spans, Tiles
from dropsmith.patterns import from_json as pattern_from_json
from dropsmith.plans import Plan, rule, select
from dropsmith.record import Record, config_id
from dropsmith.report import page, pictures, runs_in, runs_page
from dropsmith.train import check_run
from faults.mutate import mutate_bytes, mutate_json
from learn import small

COUNT = 300

PLAN = Plan(
    rule("encoder.*.output", Bernoulli(rate=LinearRate(start=0.0, end=0.4, steps=100))),
    rule(select("a.**", type="Linear", kind="output", depth=(0, 3)), Spans(size=2, stride=3)),
    rule("b", Tiles(size=3, stride=1, rotate=30, side=8, shared="channel"), mask="one"),
    rule("c d", DropBlock(rate=CyclicRate(low=0.1, high=0.2, period=9), size=3), calls="one"),
    rule("e", PerView(rates=(0.1, 0.3)), views="shared", axes="batch time unit"),
)
GROUPS = (Group(name="8x8", sites="a.*", alone="a.0", pairs=("a.1 b",), side=8),)
CONV = ConvSpace(ConvTokens().choices(GROUPS[0]), GROUPS)
SEQUENCE = SequenceSpace(SequenceTokens().choices(GROUPS[0]), GROUPS)


def mutations(values: Any, count: int = COUNT) -> Iterator[Any]:
    """The values as they are, and then broken in each of many ways."""
    yield values
    for seed in range(count):
        yield mutate_json(values, random.Random(seed))


def files(values: Any, count: int = COUNT) -> Iterator[bytes]:
    """The file of the values as it is, with broken values, and with broken bytes."""
    text = json.dumps(values, indent=1).encode()
    yield text
    for seed in range(count):
        rng = random.Random(seed)
        mutated = json.dumps(mutate_json(values, rng)).encode()
        yield mutated if seed % 2 else mutate_bytes(text, rng)


def read_all(read: Callable[[Any], object], inputs: Iterator[Any], name: str = "") -> int:
    """Read the first, which is whole, and all others; return how many were refused in words.

    Any error that is not of `dropsmith.errors` ends the test, and so does one that goes on and on
    or does not name what was read.
    """
    read(next(inputs))
    sentences: list[str] = []
    for values in inputs:
        try:
            read(values)
        except DropsmithError as error:
            sentences.append(str(error))
    assert [text for text in sentences if len(text) > 1000 or text.count("\n") > 8] == []
    assert [text for text in sentences if name not in text] == []
    return len(sentences)


@pytest.mark.parametrize("load", [Record.load, lambda path: runs_in(path.parent)])
def test_records(load: Callable[[Path], object], tmp_path: Path):
    record = comparison({"r-drop": [0.1]}).rows[0].records[0]
    path = record.save(tmp_path)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load(path)

    assert read_all(read, files(record.to_json()), path.name) > COUNT // 2


def test_comparisons(tmp_path: Path):
    made = comparison({name: LOSSES[name] for name in ("none", "r-drop")})
    for record in made.records:
        record.save(tmp_path)
    path = made.save(tmp_path)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        Comparison.load(tmp_path)

    assert read_all(read, files(made.to_json()), tmp_path.name) > COUNT // 2


def test_problems(tmp_path: Path):
    def read(data: bytes) -> None:
        (tmp_path / problem.FILE).write_bytes(data)
        Problem.load(tmp_path)

    assert read_all(read, files(small.problem().to_json()), problem.FILE) > COUNT // 2


def test_searches(tmp_path: Path):
    small.problem().bind(tmp_path)
    trials = (
        small.trial(0, (0, 0, 0), 0.5, seconds=2.0, reports=((1, 0.7), (2, 0.5))),
        small.trial(1, (1, 1, 1), None, "failed", why="TrainingError: not finite"),
        small.trial(2, (2, 0, 1), 0.3, version=1, log_probability=-2.5),
    )
    run = small.searched(*trials, pruner="median")
    path = run.save(tmp_path, small.problem())

    def read(data: bytes) -> None:
        path.write_bytes(data)
        searches = Searches.load(tmp_path)
        assert searches.ranked() is not None

    assert read_all(read, files(run.to_json(small.problem())), path.name) > COUNT // 2


@pytest.mark.parametrize("space", [small.SPACE, CONV, SEQUENCE], ids=["listed", "conv", "sequence"])
def test_spaces_and_every_plan_of_them(space: Any):
    def read(values: Any) -> None:
        made = space_from_json(values)
        for tokens in ((0,) * len(made.choices), tuple(len(c.values) - 1 for c in made.choices)):
            made.plan(tokens)

    assert read_all(read, mutations(space.to_json())) > COUNT // 3


def test_plans(tmp_path: Path):
    path = tmp_path / "plan.json"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        plan = Plan.load(path)
        assert Plan.from_json(plan.to_json()) == plan

    assert read_all(read, files(PLAN.to_json()), path.name) > COUNT // 2


def test_patterns():
    def read(values: Any) -> None:
        assert pattern_from_json(values).to_json()

    refusals = [read_all(read, mutations(r.pattern.to_json(), 200)) for r in PLAN.rules]
    assert min(refusals) > 100


@pytest.mark.parametrize(
    "objective",
    [
        RDrop(alpha=5, kind="multi_label", stop_gradient="targets", warmup=10, every=4),
        LRDrop(output=1.0, hidden=1.0, attention=100.0, layers=(0, -1)),
        SquaredDistance(kappa=0.1, task_loss_views=(0,), noise_free=(1,)),
        ActivationNorm(of=Fraternal(kappa=0.1), alpha=1.0),
    ],
)
def test_objectives(objective: Any):
    def read(values: Any) -> None:
        assert objective_from_json(values).to_json()

    assert read_all(read, mutations(objective.to_json())) > COUNT // 3


def test_a_folder_that_is_migrated_is_read_whole_or_left_alone(tmp_path: Path):
    record = comparison({"r-drop": [0.1]}).rows[0].records[0]
    path = record.save(tmp_path)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            migrate_records(tmp_path)
        finally:
            assert list(tmp_path.iterdir()) == [path]

    assert read_all(read, files(record.to_json(), 100)) > 50


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch):
    for name in ("forest", "cost", "curves", "run_curves"):
        monkeypatch.setattr(pictures, f"{name}_figure", lambda *_: None)
    monkeypatch.setattr(pictures, "gallery", lambda *_: "")


def broken_records(records: Sequence[Record], count: int) -> Iterator[list[Any]]:
    """The records as JSON, with one field of one of them broken, and ids that fit again."""
    whole = [record.to_json() for record in records]
    yield whole
    for seed in range(count):
        rng = random.Random(seed)
        values, index = list(whole), rng.randrange(len(whole))
        part = rng.choice(("config", "scores", "curve", "cost", "environment", "status"))
        changed = mutate_json({part: whole[index][part]}, rng)
        values[index] = whole[index] | (changed if isinstance(changed, dict) else {})
        with suppress(DropsmithError, TypeError):
            values[index]["id"] = config_id(values[index]["config"])
        yield values


@pytest.mark.usefixtures("no_pictures")
def test_pages_of_runs():
    def read(values: list[Any]) -> None:
        runs_page([check_run(Record.from_json(each)) for each in values])

    row = comparison({"r-drop": [0.1, 0.2]}).rows[0]
    assert read_all(read, broken_records(row.records, COUNT)) > COUNT // 3


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_pages_of_comparisons():
    made = comparison({name: LOSSES[name] for name in ("none", "r-drop")})

    def read(values: list[Any]) -> None:
        records = iter([check_run(Record.from_json(each)) for each in values])

        def renewed(row: Row) -> Row:
            trials = tuple(
                replace(trial, records=tuple(next(records) for _ in trial.records))
                for trial in row.trials
            )
            runs = tuple(next(records) for _ in row.records)
            return replace(row, trials=trials, records=runs)

        page(replace(made, rows=tuple(map(renewed, made.rows))))

    in_order = [
        record
        for row in made.rows
        for record in (*(r for trial in row.trials for r in trial.records), *row.records)
    ]
    assert read_all(read, broken_records(in_order, COUNT)) > COUNT // 4


def test_schemas_name_every_field_that_is_written():
    run = small.searched(small.trial(0, score=0.1)).to_json(small.problem())
    assert set(run) <= set(StoredSearch.__annotations__)
