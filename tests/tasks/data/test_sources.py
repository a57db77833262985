import sys
from pathlib import Path

import pytest
import torch

from dropsmith.errors import DataError, MissingExtra
from dropsmith.tasks import find_task
from dropsmith.tasks.data.sources import load_from_hub
from dropsmith.tasks.images.cifar10 import _from_hub
from dropsmith.tasks.text.parts import load_hub_parts

datasets = pytest.importorskip("datasets")


def test_without_the_library_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"sst2 without --data[\s\S]*dropsmith\[transformers\]"):
        load_from_hub("stanfordnlp/sst2", None, "sst2")


def test_without_a_network_the_error_says_to_give_a_folder(monkeypatch):
    def offline(*args):
        raise ConnectionError("no route\nmore")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(
        DataError, match=r"for the task cola\n  ConnectionError: no route\n  give a l"
    ):
        find_task("cola").load()


@pytest.mark.parametrize("name", ["cnn-dailymail", "wmt14-en-de", "cifar100"])
def test_a_task_that_reads_no_folder_names_those_that_do(name, monkeypatch):
    def offline(*args):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DataError, match="no route\n  it is on the Hub alone") as raised:
        find_task(name).load()
    *_, named = str(raised.value).partition("read by ")
    for other in named.split(" and "):
        with pytest.raises(DataError, match="nowhere"):  # looks there
            find_task(other).load(Path("nowhere"))


def test_a_part_whose_labels_are_kept_secret_is_left_out(monkeypatch):
    def table(label):
        return datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": label})

    loaded = datasets.DatasetDict(
        train=table([0, 1]), validation=table([1, 0]), test=table([-1, -1])
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *args: loaded)
    parts = load_hub_parts("stanfordnlp/sst2", None, "sentence", "sst2")
    assert parts == {"train": [("a", "0"), ("b", "1")], "validation": [("a", "1"), ("b", "0")]}


def test_pictures_of_the_hub_keep_their_pixels_and_labels(monkeypatch):
    from PIL import Image

    def pictures(count):
        # The colour of a picture is its label.
        labels = [i % 10 for i in range(count)]
        colours = [Image.new("RGB", (32, 32), (label, 20 * label, 0)) for label in range(10)]
        return _Table({"img": [colours[label] for label in labels], "label": labels})

    loaded = {"train": pictures(50_000), "test": pictures(10_000)}
    monkeypatch.setattr(datasets, "load_dataset", lambda *args: loaded)
    data = _from_hub(100, None)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [100, 2_000, 10_000]
    assert data.train.columns["labels"].bincount().tolist() == [10] * 10
    colour = (data.train.columns["image"][:, 1, 5, 5] * 255).round().long()
    assert torch.equal(colour, 20 * data.train.columns["labels"])


def test_a_hundred_kinds_of_pictures_keep_their_fine_labels(monkeypatch):
    from PIL import Image

    from dropsmith.tasks.images.cifar100 import read_cifar100

    def pictures(count):
        labels = [i % 100 for i in range(count)]
        colours = [Image.new("RGB", (32, 32), (label, 2 * label, 0)) for label in range(100)]
        table = _Table({"img": [colours[one] for one in labels], "fine_label": labels})
        table.features = {"fine_label": _Names([f"kind {i}" for i in range(100)])}
        return table

    loaded = {"train": pictures(50_000), "test": pictures(10_000)}
    monkeypatch.setattr(datasets, "load_dataset", lambda *args: loaded)
    data = read_cifar100(None, 300)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [300, 2_000, 10_000]
    assert (data.classes, data.names[7]) == (100, "kind 7")
    colour = (data.train.columns["image"][:, 1, 5, 5] * 255).round().long()
    assert torch.equal(colour, 2 * data.train.columns["labels"])


def test_pairs_of_mnli_are_tested_on_the_kinds_of_text_they_were_trained_on(monkeypatch):
    def table(start, labels):
        texts = [f"{start} {i}" for i in range(len(labels))]
        columns = {"premise": texts, "hypothesis": texts, "label": labels}
        return datasets.Dataset.from_dict(columns)

    loaded = datasets.DatasetDict(
        train=table("train", [0, 1, 2]),
        validation_matched=table("matched", [2, 1]),
        validation_mismatched=table("other", [0, 0]),
        test_matched=table("secret", [-1, -1]),
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *args: loaded)
    parts = load_hub_parts("nyu-mll/glue", "mnli", "premise", "mnli", "hypothesis")
    assert [(part, len(rows)) for part, rows in parts.items()] == [("train", 3), ("validation", 2)]
    assert parts["validation"][0][0].startswith("matched 0")


def test_translations_of_the_hub_are_read_in_the_direction_that_was_asked_for(monkeypatch):
    rows = [{"de": f"der Satz {i}", "en": f"the sentence {i}"} for i in range(3)]
    loaded = {part: {"translation": rows} for part in ("train", "validation", "test")}
    monkeypatch.setattr(datasets, "load_dataset", lambda *args: loaded)
    task = find_task("wmt14-en-de")
    assert task.read(None).parts["test"][1] == ("the sentence 1", ("der Satz 1",))
    with pytest.raises(DataError, match="reads the Hub"):
        task.read("somewhere")


class _Names:
    def __init__(self, names):
        self.names = names


class _Table(dict):
    """Rows by a list of their numbers, as a data set of the Hub gives them."""

    def __getitem__(self, key):
        if isinstance(key, str):
            return super().__getitem__(key)
        return {name: [column[i] for i in key] for name, column in self.items()}
