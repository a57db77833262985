import pytest

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import TASKS, Bounds, DataOptions, find_task, with_model

NAMES = ("rows", "bytes", "row_bytes", "pixels", "picture_bytes")


FIVE = DataOptions(bounds=Bounds(rows=5))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", [0, -1, True, 1.5, "5", None, float("nan"), 2**63, 10**5000], ids=lambda v: ""
)
def test_a_bound_that_is_no_count_is_one_sentence(name, value):
    with pytest.raises(TaskError, match=rf"^(the bound )?{name} must be "):
        Bounds(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_an_excess_names_the_flag_that_allows_it(name):
    error = Bounds(**{name: 7}).excess(name, "a.csv")
    assert isinstance(error, DataError)
    assert "a.csv holds more than 7 " in str(error)
    assert f"--bound {name}=14, or Bounds({name}=14)" in str(error)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_takes_bounds_and_is_itself_without(name):
    assert find_task(name) is TASKS[name]
    assert find_task(name, data_options=FIVE).data_options == FIVE


def test_a_task_on_a_path_takes_bounds(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,1\n")
    for place in (tmp_path, tmp_path / "a.csv"):
        assert find_task(str(place), data_options=FIVE).data_options == FIVE
    (tmp_path / "pictures").mkdir()
    task = find_task(str(tmp_path / "pictures"), data_options=FIVE)
    assert task.data_options == FIVE


def test_a_model_of_the_users_own_keeps_the_bounds(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(
        "from torch import nn\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = find_task("digits", data_options=FIVE)
    assert with_model(task, "nets:net", task.load()).data_options == FIVE
