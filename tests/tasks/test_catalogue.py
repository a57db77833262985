import pickle

import pytest

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import TASKS, find_task


def test_every_name_in_the_table_is_its_tasks_own():
    assert all(find_task(name).name == name for name in TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_places_every_noise_it_names_and_travels_between_processes(name):
    task = find_task(name)
    for noise in task.noises:
        assert task.plan(noise, 0.2).rules
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_misspelt_task_is_named_with_its_likely_correction():
    with pytest.raises(TaskError, match=r"'digit'[\s\S]*tasks: digits,[\s\S]*mean 'digits'"):
        find_task("digit")


def test_a_folder_of_tables_is_texts_and_a_folder_of_folders_is_pictures(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "train.csv").write_text("text,label\na b,1\n")
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    assert "path" in find_task(str(tmp_path / "tables")).noises
    assert "spatial" in find_task(str(tmp_path / "pictures")).noises


def test_data_that_does_not_exist_is_said_at_once(tmp_path):
    with pytest.raises(DataError, match=r"no file or folder .*gone[\s\S]*data of sst2"):
        find_task("sst2", tmp_path / "gone")
