import json
from dataclasses import replace

import pytest

from dropsmith.errors import TaskError
from dropsmith.tasks import DataOptions
from dropsmith.tasks.learning_rates import Plateau, UntilWorse
from dropsmith.tasks.optimisers import TriggeredASGD
from train.setups import SHORT, digits


def test_its_json_holds_every_setting_and_decides_the_records_id():
    from dropsmith.record import config_id

    values = json.loads(json.dumps(digits().to_json()))
    unwritten = {
        "data_options",
        "data",
        "samples",
        "samples_without",
        "score_test",
        "trunk",
        "whole",
        "start",
        "labels",
        "unlabelled",
        "unlabelled_ratio",
    }
    assert set(values) == set(digits().__dataclass_fields__) - unwritten
    assert values["plan"] == digits().plan.for_records()
    ids = [config_id(one.to_json()) for one in (digits(), digits(seed=1), digits(noise=False))]
    assert len(set(ids)) == 3


def test_a_run_is_the_same_wherever_its_data_lies_and_however_that_is_spelled(tmp_path):
    (tmp_path / "cats").mkdir()
    spellings = [tmp_path / "cats", tmp_path / "." / "cats", tmp_path / "cats" / ".." / "cats"]
    named = [digits(task="sst2", data=str(path)).to_json() for path in spellings]
    own = [digits(task=str(path)).to_json() for path in (*spellings, f"{tmp_path}/cats/")]
    assert all(values == named[0] for values in named)
    assert all(values == own[0] for values in own)
    assert str(tmp_path) not in json.dumps([named, own])
    assert (named[0]["task"], own[0]["task"]) == ("sst2", "cats")


@pytest.mark.parametrize(
    ("change", "given"),
    [({}, False), ({"task": "sst2", "data": "there"}, True), ({"task": "there"}, True)],
)
def test_it_knows_whether_the_user_named_the_place_of_the_data(change, given):
    assert digits(**change).data_given is given


def test_bounds_are_no_part_of_what_a_run_is():
    from dropsmith.tasks import Bounds

    assert digits(data_options=DataOptions(bounds=Bounds(rows=5))).to_json() == digits().to_json()


def test_an_unknown_precision_is_refused():
    with pytest.raises(TaskError, match=r"'bf6'[\s\S]*no, bf16[\s\S]*'bf16'"):
        digits(precision="bf6")


def test_samples_are_written_down_only_where_there_are_some():
    assert digits(samples=5).to_json() == digits().to_json() | {"samples": 5}


def test_what_samples_leave_without_noise_is_part_of_the_run():
    setup = digits(samples=5, samples_without=("words",))
    assert setup.to_json() == digits(samples=5).to_json() | {"samples_without": ["words"]}


def test_a_kind_of_site_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(TaskError, match="did you mean 'words'"):
        digits(samples=5, samples_without=("wrods",))


def test_samples_cannot_leave_noise_out_where_none_are_made():
    with pytest.raises(TaskError, match="samples=0 makes none"):
        digits(samples_without=("words",))


def test_samples_without_noise_to_differ_by_are_refused():
    with pytest.raises(TaskError, match=r"samples=5 with 0 rules in the plan"):
        digits(samples=5, noise=False)


def test_that_the_test_examples_are_left_alone_is_part_of_the_run():
    assert digits(score_test=False).to_json() == digits().to_json() | {"tested": False}
    with pytest.raises(TaskError, match="samples=5 are scored on test examples"):
        digits(samples=5, score_test=False)


def test_a_trunk_is_written_down_only_where_there_is_one():
    assert digits(trunk="convs.1").to_json() == digits().to_json() | {"trunk": "convs.1"}


def test_training_on_all_of_training_is_part_of_the_run():
    assert "whole" not in digits().to_json()
    assert digits(whole=True).to_json()["whole"] is True


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"patience": 3}, "patience"),
        ({"schedule": Plateau(factor=3, patience=2)}, "Plateau"),
        ({"schedule": UntilWorse()}, "UntilWorse"),
        ({"optimiser": TriggeredASGD()}, "TriggeredASGD"),
    ],
)
def test_what_goes_by_validation_is_refused_where_none_is_left(change, named):
    budget = replace(SHORT, **change)
    with pytest.raises(TaskError, match=f"no validation examples for {named} to go by"):
        digits(whole=True, budget=budget)
    assert digits(budget=budget).budget is budget


@pytest.mark.parametrize("name", ["seed", "limit", "samples"])
@pytest.mark.parametrize(
    "value", [-1, True, 1.0, "5", float("nan"), float("inf"), 2**63, 10**5000], ids=lambda v: ""
)
def test_numbers_out_of_range_are_refused_where_they_are_given(name, value):
    with pytest.raises(
        TaskError, match=rf"{name} must be a whole number of at (least 0|most \d+),"
    ):
        digits(**{name: value})


@pytest.mark.parametrize("name", ["task", "method"])
@pytest.mark.parametrize("value", ["caf\udce9", 3, None, b"digits"])
def test_names_that_no_json_can_hold_are_refused(name, value):
    with pytest.raises(TaskError, match=f"the {name} must be text that UTF-8 can encode, got"):
        replace(digits(), **{name: value})


def test_the_side_that_repeats_are_left_out_of_is_part_of_a_run():
    dropped = digits(data_options=DataOptions(drop_repeats="test"))
    assert dropped.to_json() == digits().to_json() | {"drop_repeats": "test"}


@pytest.mark.parametrize("change", [{"labels": 40}, {"unlabelled": "more.csv"}])
def test_batches_by_length_have_no_stream_of_examples_without_a_label(change):
    budget = replace(SHORT, batches="length")
    with pytest.raises(TaskError, match=r"groups those with a label\n  leave batches"):
        digits(budget=budget, **change)
    assert digits(budget=budget).budget.batches == "length"
    assert digits(**change).has_unlabelled
