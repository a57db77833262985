"""A folder is sent to the Hub through its client, here one that only listens."""

from fnmatch import fnmatch
from types import SimpleNamespace

import pytest

import dropsmith as ds
from dropsmith.cli import main
from dropsmith.errors import DataError
from dropsmith.run_folder import push_folder


class Client:
    """Remembers what it is asked for."""

    def __init__(self, fault=None):
        self.calls, self.fault, self.files = [], fault, ()

    def create_repo(self, repo, **options):
        if self.fault:
            raise self.fault
        self.calls.append((repo, options))

    def upload_folder(self, *, folder_path, ignore_patterns, **options):
        from pathlib import Path

        names = [path.name for path in Path(folder_path).iterdir()]
        self.files = {n for n in names if not any(fnmatch(n, p) for p in ignore_patterns)}
        self.calls.append(options)
        return SimpleNamespace(commit_url="https://huggingface.co/me/mine/commit/1")


def test_all_files_that_loading_takes_are_sent_and_no_unfinished_work(texts, tmp_path):
    texts[0].write(tmp_path)
    for name in (".running", "checkpoint.safetensors", "step_3.safetensors", ".a.1.partial"):
        (tmp_path / name).write_text("x")
    client = Client()
    address = ds.load(tmp_path).push_to_hub("me/mine", api=client)
    assert address == "https://huggingface.co/me/mine/commit/1"
    (repo, options), upload = client.calls
    assert (repo, options["private"], options["exist_ok"]) == ("me/mine", True, True)
    assert (upload["repo_id"], upload["repo_type"]) == ("me/mine", "model")
    assert client.files == {path.name for path in texts[1].iterdir()}


def test_a_repository_may_be_public(texts):
    client = Client()
    push_folder(texts[1], "me/mine", private=False, api=client)
    assert client.calls[0][1]["private"] is False


@pytest.mark.parametrize("repo", ["mine", "a/b/c", "", "me/", "/mine", "me/mi ne", None, 3])
def test_what_is_no_name_of_a_repository_is_refused_before_anything_is_sent(texts, repo):
    client = Client()
    with pytest.raises(DataError, match=r"USER/NAME"):
        push_folder(texts[1], repo, api=client)
    assert client.calls == []


def test_a_folder_without_a_run_is_not_sent(tmp_path):
    client = Client()
    with pytest.raises(DataError, match=r"config\.json"):
        push_folder(tmp_path, "me/mine", api=client)
    assert client.calls == []


def test_a_refusal_of_the_hub_is_one_sentence(texts):
    client = Client(PermissionError("401 Client Error\nlong text"))
    with pytest.raises(DataError) as error:
        push_folder(texts[1], "me/mine", api=client)
    assert "PermissionError: 401 Client Error\n  to log in: hf auth login" in str(error.value)
    assert "long text" not in str(error.value)


def test_the_command_sends_it(texts, monkeypatch, capsys):
    import huggingface_hub

    client = Client()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda token=None: client)
    with pytest.raises(SystemExit) as end:
        main(["push", str(texts[1]), "me/mine", "--public"])
    assert not end.value.code
    assert capsys.readouterr().out.strip() == "https://huggingface.co/me/mine/commit/1"
    assert client.calls[0][1]["private"] is False
    with pytest.raises(SystemExit) as end:
        main(["push", str(texts[1].parent), "me/mine"])
    assert end.value.code == 2
    assert "the runs in there" in capsys.readouterr().err
