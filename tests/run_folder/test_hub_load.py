"""A run's folder is fetched from the Hub, here through a client that copies files and listens."""

import inspect
import json
import shutil
from fnmatch import fnmatch

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

import dropsmith as ds
from dropsmith.cli import main
from dropsmith.errors import DataError, DropsmithError
from dropsmith.run_folder import run_folder
from dropsmith.run_folder.hub_folder import FETCHED
from dropsmith.tasks import TOKENISER_FILES

SIGNATURE = inspect.signature(huggingface_hub.snapshot_download)


class Hub:
    """Repositories that are folders on this machine, kept as the Hub's client keeps them."""

    def __init__(self, cache):
        self.cache, self.repositories, self.calls, self.fault = cache, {}, [], None

    def snapshot_download(self, *arguments, **options):
        call = SIGNATURE.bind(*arguments, **options).arguments
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault
        folder = self.repositories[call["repo_id"], call["revision"]]
        snapshot, blobs = self.cache / f"snapshot{len(self.calls)}", self.cache / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir(exist_ok=True)
        for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
            name = path.relative_to(folder).as_posix()
            if any(fnmatch(name, pattern) for pattern in call["allow_patterns"]):
                blob = blobs / f"{len(self.calls)}-{number}"
                shutil.copy(path, blob)
                (snapshot / name).symlink_to(blob)
        return str(snapshot)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def refusal(kind, message):
    """An error of the Hub's client, which is made of an answer to a request."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "revision"),
    [
        ("hf://me/mine", None),
        ("hf://me/mine@v1.0", "v1.0"),
        ("hf://me/mine@refs/pr/1", "refs/pr/1"),
    ],
)
def test_a_run_on_the_hub_predicts_as_its_folder_does(address, revision, hub, texts):
    _, folder, table = texts
    hub.repositories["me/mine", revision] = folder
    fetched, local = ds.load(address), ds.load(folder)
    assert fetched.record == local.record
    assert fetched.plan == local.plan
    expected = local.predict(table, samples=4).to_table()
    assert fetched.predict(table, samples=4).to_table() == expected
    assert hub.calls == [
        {"repo_id": "me/mine", "revision": revision, "allow_patterns": list(FETCHED)}
    ]


@pytest.mark.parametrize("kind", ["texts", "values", "digits"])
def test_all_that_a_run_leaves_is_fetched_and_nothing_else(kind, hub, request, tmp_path):
    folder = tmp_path / "repository"
    shutil.copytree(request.getfixturevalue(kind)[1], folder)
    written = {path.name for path in folder.iterdir()}
    (folder / "inner").mkdir()
    for name in ("modeling.py", "pytorch_model.bin", "weights.pkl", ".gitattributes", "x.json"):
        (folder / name).write_text("raise SystemExit")
        (folder / "inner" / name).write_text("raise SystemExit")
    shutil.copy(folder / "config.json", folder / "inner" / "config.json")
    hub.repositories["me/mine", None] = folder
    assert {path.name for path in run_folder("hf://me/mine").iterdir()} == written


def test_the_files_of_a_repository_are_checked_as_those_of_a_folder(hub, texts, tmp_path):
    for name in ("config.json", "record.json", "plan.json", "preprocessing.json"):
        folder = tmp_path / name
        shutil.copytree(texts[1], folder)
        (folder / name).write_text(json.dumps({"format": "dropsmith.run", "os.system": "echo"}))
        hub.repositories["me/mine", None] = folder
        with pytest.raises(DropsmithError, match=name):
            ds.load("hf://me/mine")


@pytest.mark.parametrize(
    "address",
    [
        "hf://",
        "hf://mine",
        "hf://a/b/c",
        "hf://a/",
        "hf:///b",
        "hf://a/b@",
        "hf://a/b c",
        "hf://a@1/b",
    ],
)
def test_what_is_no_address_of_a_repository_is_refused_before_the_hub_is_asked(address, hub):
    with pytest.raises(DataError, match=r"it is hf://USER/REPO, or hf://USER/REPO@REVISION"):
        ds.load(address)
    assert hub.calls == []


def test_a_repository_without_a_run_is_said_to_have_none(hub, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    hub.repositories["me/mine", None] = folder
    with pytest.raises(DataError, match="me/mine on the Hub holds no run of dropsmith"):
        ds.load("hf://me/mine")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            refusal(huggingface_hub.errors.RepositoryNotFoundError, "401 Client Error\nlong"),
            "the Hub has no repository me/mine that you may see\n  to see a private one, log in",
        ),
        (
            refusal(huggingface_hub.errors.GatedRepoError, "403 Client Error\nlong"),
            "the Hub has no repository me/mine that you may see\n  to see a private one, log in",
        ),
        (
            refusal(huggingface_hub.errors.RevisionNotFoundError, "404 Client Error\nlong"),
            "the repository me/mine on the Hub has no branch, tag or commit 'v1'",
        ),
        (
            LocalEntryNotFoundError("Cannot find an appropriate cached snapshot\nlong"),
            "cannot fetch the repository me/mine from the Hub\n  LocalEntryNotFoundError: Cannot",
        ),
        (OfflineModeIsEnabled("it is offline\nlong"), "cannot fetch the repository me/mine"),
        (ConnectionError("no route\nlong"), "  ConnectionError: no route\n  where the Hub cannot"),
    ],
)
def test_a_repository_that_cannot_be_fetched_is_one_error(fault, words, hub, capsys):
    hub.fault = fault
    with pytest.raises(DataError) as error:
        ds.load("hf://me/mine@v1")
    assert words in str(error.value)
    assert "long" not in str(error.value)
    with pytest.raises(SystemExit) as end:
        main(["predict", "hf://me/mine@v1", "new.csv"])
    assert end.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_predicts_with_a_run_on_the_hub(hub, texts, tmp_path, capsys):
    _, folder, table = texts
    hub.repositories["me/mine", None] = folder
    files = tmp_path / "hub.csv", tmp_path / "folder.csv"
    for place, out in zip(("hf://me/mine", str(folder)), files, strict=True):
        with pytest.raises(SystemExit) as end:
            main(["predict", place, str(table), "--samples", "4", "--out", str(out)])
        assert not end.value.code
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_text().splitlines()) == 81


def test_the_command_asks_for_new_examples_before_it_fetches_a_run(hub, capsys):
    with pytest.raises(SystemExit) as end:
        main(["predict", "hf://me/mine"])
    assert end.value.code == 2
    assert "dropsmith predict hf://me/mine new.csv" in capsys.readouterr().err
    assert hub.calls == []


def test_the_files_of_a_tokeniser_are_fetched_as_well(tmp_path):
    transformers = pytest.importorskip("transformers")
    words = {word: number for number, word in enumerate(("[PAD]", "[UNK]", "good", "bad"))}
    tokeniser = transformers.BertTokenizer(vocab=words)
    tokeniser.chat_template = "{{ messages }}"
    tokeniser.save_pretrained(tmp_path)
    assert any(tmp_path.iterdir())
    assert {path.name for path in tmp_path.glob("*.*")} <= set(TOKENISER_FILES)


def test_of_a_real_client_that_is_offline_the_error_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="cannot fetch the repository me/none from the Hub"):
        ds.load("hf://me/none")
