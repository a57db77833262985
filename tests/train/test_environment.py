import json
import platform
import subprocess

import pytest
import torch

import dropsmith
from dropsmith.tasks import find_task
from dropsmith.train import train
from dropsmith.train.environment import commit, describe_environment, flush_subnormals
from train.setups import digits


def test_it_names_what_a_second_person_would_need_and_is_json():
    data = find_task("digits").load()
    found = json.loads(json.dumps(describe_environment(data, torch.device("cpu"))))
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__
    assert found["dropsmith"] == dropsmith.__version__
    assert found["threads"] == torch.get_num_threads()
    assert (found["data_sha256"], found["data_source"]) == (data.sha256, data.source)
    assert "CPU" in found["device"]
    assert torch.backends.cpu.get_cpu_capability() in found["device"]


@pytest.fixture
def repository(tmp_path):
    def git(*words):
        settings = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ("git", *settings, *words), cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("a = 1\n")
    git("add", "-A")
    git("commit", "-qm", "one")
    return tmp_path, git("rev-parse", "HEAD")


def test_the_commit_is_marked_where_files_were_changed_since(repository):
    folder, head = repository
    assert commit(folder / "code") == head
    (folder / "code" / "a.py").write_text("a = 2\n")
    assert commit(folder / "code") == head + "+"


def test_a_folder_that_git_does_not_know_has_no_commit(repository, tmp_path_factory):
    folder, _ = repository
    (folder / "installed").mkdir()
    (folder / "installed" / "b.py").write_text("")
    assert commit(folder / "installed") is None
    assert commit(tmp_path_factory.mktemp("alone")) is None


TINY = 1e-30


def smallest():
    """A product that is a subnormal number, or zero where those are flushed."""
    return float(torch.tensor(TINY) * torch.tensor(1e-9))


def test_small_numbers_are_flushed_inside_and_kept_after():
    with flush_subnormals():
        assert smallest() == 0
    assert smallest() > 0


def test_blocks_inside_one_another_leave_the_outer_one_in_force():
    with flush_subnormals():
        with flush_subnormals():
            pass
        assert smallest() == 0
    assert smallest() > 0


def test_an_error_inside_does_not_leave_them_flushed():
    try:
        with flush_subnormals():
            raise ValueError
    except ValueError:
        assert smallest() > 0


def test_a_run_is_made_with_them_flushed_and_leaves_them_as_they_were(tmp_path):
    seen = []
    train(digits(), tmp_path, progress=lambda _: seen.append(smallest()))
    assert set(seen) == {0.0}
    assert smallest() > 0
