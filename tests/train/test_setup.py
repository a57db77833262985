import json

import pytest

from dropsmith.errors import TaskError
from train.setups import digits


def test_its_json_holds_every_setting_and_decides_the_records_id():
    from dropsmith.record import config_id

    values = json.loads(json.dumps(digits().to_json()))
    assert set(values) == set(digits().__dataclass_fields__) - {"samples", "samples_without"}
    assert values["plan"] == digits().plan.to_json()
    ids = [config_id(one.to_json()) for one in (digits(), digits(seed=1), digits(noise=False))]
    assert len(set(ids)) == 3


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


@pytest.mark.parametrize("change", [{"samples": -1}, {"samples": 5, "noise": False}])
def test_samples_without_noise_to_differ_by_are_refused(change):
    with pytest.raises(TaskError, match=r"samples=\S+ with \d rules in the plan"):
        digits(**change)
