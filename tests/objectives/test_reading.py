"""Objectives by name."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import Fraternal, LRDrop, RDrop, SquaredDistance, TaskLoss, from_json


def test_only_settings_that_were_made_are_written() -> None:
    assert RDrop(alpha=5).to_json() == {"objective": "RDrop", "alpha": 5}
    assert TaskLoss().to_json() == {"objective": "TaskLoss"}


def test_presets_keep_their_names() -> None:
    assert Fraternal(kappa=0.1).to_json()["objective"] == "Fraternal"
    assert from_json(Fraternal(kappa=0.1).to_json()) == Fraternal(kappa=0.1)
    assert from_json(Fraternal(kappa=0.1).to_json()) != SquaredDistance(kappa=0.1)


def test_what_is_written_is_plain_json() -> None:
    values = SquaredDistance(kappa=1, task_loss_views=(0,), noise_free=(1,)).to_json()
    assert json.loads(json.dumps(values)) == values


def test_it_prints_as_it_is_typed_with_what_must_be_given_in_front() -> None:
    shown = "RDrop(alpha=5, views=3, kind='multi_label')"
    assert repr(RDrop(alpha=5, views=3, kind="multi_label")) == shown


@pytest.mark.parametrize(("kind", "written"), [("multi_label", "labels"), ("regression", "values")])
def test_kinds_keep_their_older_words_in_json_and_both_are_read(kind, written) -> None:
    for objective in (RDrop(alpha=5, kind=kind), LRDrop(kind=kind)):
        values = objective.to_json()
        assert values["kind"] == written
        assert from_json(values) == from_json(values | {"kind": kind}) == objective
        assert from_json(values).kind == kind
    assert "kind" not in RDrop(alpha=5, kind="classification").to_json()


@dataclass(frozen=True, kw_only=True, repr=False)
class Mine(TaskLoss):
    strength: int = 1


def test_classes_of_ones_own_are_read_when_they_are_given() -> None:
    assert from_json(Mine(strength=2).to_json(), extra=[Mine]) == Mine(strength=2)
    assert from_json({"objective": "Mine", "strength": 2}, extra=[Mine]) == Mine(strength=2)
    with pytest.raises(ObjectiveError, match="no objective is called 'Mine'"):
        from_json({"objective": "Mine", "strength": 2})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"objective": "Rdrop", "alpha": 1},
            r"no objective is called 'Rdrop'[\s\S]*did you mean 'RDrop'",
        ),
        ({"objective": "RDrop", "alfa": 1}, r"no setting 'alfa'[\s\S]*did you mean 'alpha'"),
        ({"objective": "RDrop"}, "RDrop needs alpha"),
        ({"objective": "RDrop", "alpha": "much"}, "alpha must be a finite number"),
        ({"alpha": 1}, "not an objective"),
        ({"objective": 3}, "not an objective"),
        ("RDrop", "not an objective"),
    ],
)
def test_anything_else_is_refused_with_what_to_type(values: Any, text: str) -> None:
    with pytest.raises(ObjectiveError, match=text):
        from_json(values)
