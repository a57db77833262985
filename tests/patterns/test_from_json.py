"""Reading takes names from a short table and from what it is handed, never from elsewhere."""

import math
import sys
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import dropsmith.patterns
from dropsmith.axes import Axes
from dropsmith.errors import PatternError
from dropsmith.patterns import Bernoulli, Pattern, Schedule, from_json
from dropsmith.patterns._from_json import PATTERNS, SCHEDULES
from dropsmith.rng import Source, Word


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    rate: float

    def at(self, step: Word) -> float | Tensor:
        return self.rate


@dataclass(frozen=True, kw_only=True)
class Mine(Pattern):
    rate: float | Schedule
    strength: int = 1

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return torch.ones(axes.sizes)


def test_the_tables_hold_every_class_of_ours_under_its_name():
    public = vars(dropsmith.patterns).values()
    classes = {cls for cls in public if isinstance(cls, type)} - {Pattern, Schedule}
    assert set(PATTERNS.values()) == {cls for cls in classes if issubclass(cls, Pattern)}
    assert set(SCHEDULES.values()) == {cls for cls in classes if issubclass(cls, Schedule)}
    for table in (PATTERNS, SCHEDULES):
        assert all(cls.__name__ == name for name, cls in table.items())


def test_patterns_and_schedules_of_your_own_are_read_when_handed_in():
    pattern = Mine(rate=Constant(rate=0.2), strength=3)
    assert from_json(pattern.to_json(), extra=(Mine, Constant)) == pattern


def test_an_unknown_pattern_is_answered_with_the_likely_one():
    with pytest.raises(PatternError, match=r"(?s)'Bernouli'.*patterns are: Ber.*'Bernoulli'\?"):
        from_json({"pattern": "Bernouli", "rate": 0.1})


def test_an_unlikely_pattern_is_answered_with_where_your_own_goes():
    with pytest.raises(PatternError, match=r"extra=\(Mine,\)"):
        from_json({"pattern": "Mine", "rate": 0.1})


def test_an_unknown_schedule_is_answered_with_the_likely_one():
    with pytest.raises(PatternError, match=r"(?s)no schedule is called 'Liner'.*'LinearRate'\?"):
        from_json({"pattern": "Path", "rate": {"schedule": "Liner", "start": 0.1}})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"pattern": "Bernoulli", "rate": 0.1, "share": "time"}, r"(?s)'share'.*mean 'shared'\?"),
        ({"pattern": "Bernoulli"}, "Bernoulli needs 'rate'"),
        ({"pattern": "Bernoulli", "rate": 1.5}, r"rate must be in \[0, 1\)"),
        ({"pattern": "Bernoulli", "rate": "0.1"}, "rate must be a number"),
        ({"pattern": "Bernoulli", "rate": {"start": 0.1}}, "rate must be a number or a schedule"),
        (
            {"pattern": "Path", "rate": {"schedule": "Early", "rate": 0.1}},
            "EarlyRate needs 'steps'",
        ),
        ({"pattern": "Path", "rate": {"schedule": ["Early"]}}, "not a schedule in JSON"),
        ({"pattern": ["Bernoulli"], "rate": 0.1}, "not a pattern in JSON"),
        ({"rate": 0.1}, "not a pattern in JSON"),
        ([], "not a pattern in JSON"),
        ("Bernoulli", "not a pattern in JSON"),
        (None, "not a pattern in JSON"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(values, told):
    with pytest.raises(PatternError, match=told):
        from_json(values)


@pytest.mark.parametrize("name", ["os.system", "this:Mine", "antigravity", "__init__", "Pattern"])
def test_reading_imports_nothing(name):
    before = set(sys.modules)
    with pytest.raises(PatternError, match="no pattern is called"):
        from_json({"pattern": name, "rate": 0.1})
    assert set(sys.modules) == before


def test_another_class_under_a_name_of_ours_is_refused():
    impostor = type("Bernoulli", (Mine,), {})
    with pytest.raises(PatternError, match="another 'Bernoulli'"):
        from_json({"pattern": "Bernoulli", "rate": 0.1}, extra=(impostor,))
    assert from_json({"pattern": "Bernoulli", "rate": 0.1}, extra=(Bernoulli,)) == Bernoulli(
        rate=0.1
    )


WRONG_NUMBERS = [True, "0.1", None, [0.1], {"a": 1}, math.nan, 1e400, -1e400, 2**70, -1, -0.1]
CHANCES = [
    *({"pattern": name, "rate": 0.1} for name in ("Bernoulli", "Gaussian", "TorchDropout")),
    *({"pattern": name, "rate": 0.1} for name in ("DropConnect", "StochasticDepth", "WordDropout")),
    {"pattern": "Bernoulli", "rate": {"schedule": "DepthRate", "first": 0.0, "last": 0.5}},
    {"pattern": "Bernoulli", "rate": {"schedule": "LateRate", "rate": 0.1, "steps": 5}},
    {"pattern": "Bernoulli", "rate": {"schedule": "LinearRate", "start": 0, "end": 0, "steps": 5}},
    {"pattern": "Bernoulli", "rate": {"schedule": "CyclicRate", "low": 0, "high": 0, "period": 5}},
    {"pattern": "DropBlock", "rate": 0.1, "size": 3},
    {"pattern": "Spans", "size": 3, "stride": 1},
    {"pattern": "Tiles", "size": 3, "stride": 1, "repeat": 2, "side": 8},
]


@pytest.mark.parametrize("wrong", WRONG_NUMBERS, ids=repr)
@pytest.mark.parametrize("values", CHANCES, ids=str)
def test_every_number_of_every_pattern_and_schedule_is_checked(values, wrong):
    inner = values["rate"] if isinstance(values.get("rate"), dict) else values
    for name in set(inner) - {"pattern", "schedule"}:
        if wrong is None and name in ("repeat", "side"):
            continue
        broken = {**inner, name: wrong}
        with pytest.raises(PatternError, match=r"^.{1,200}(\n.{1,200})?$"):
            from_json(broken if inner is values else {**values, "rate": broken})


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y"])
@pytest.mark.parametrize("wrong", [True, "0.1", None, math.nan, 1e400, 1e308, 2**70], ids=repr)
def test_angles_beyond_sense_are_refused(name, wrong):
    with pytest.raises(PatternError, match=f"Tiles: {name} is a finite number, got"):
        from_json({"pattern": "Tiles", "size": 3, "stride": 1, name: wrong})


def test_schedules_are_not_nested():
    inner = {"schedule": "DepthRate", "first": 0.0, "last": 0.5}
    with pytest.raises(PatternError, match="LateRate: rate must be a number, got"):
        from_json(
            {"pattern": "Bernoulli", "rate": {"schedule": "LateRate", "rate": inner, "steps": 1}}
        )
