"""Flickr8k: its counts, batches, and a whole run in a few steps."""

import json

import pytest
import torch

from dropsmith.compare import Design, pick
from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import Budget, DataOptions, find_task
from dropsmith.tasks.captions.examples import Captioned, caption_of
from dropsmith.tasks.captions.part import Captions
from dropsmith.train import train


@pytest.fixture(scope="module")
def flickr(data_dir):
    return data_dir / "flickr8k"


def test_the_parts_have_their_published_sizes(flickr):
    found = find_task("flickr8k").read(flickr)
    assert {part: len(shown) for part, shown in found.parts.items()} == {
        "train": 6_000,
        "validation": 1_000,
        "test": 1_000,
    }
    assert find_task("flickr8k").read(flickr.parent).parts == found.parts


def test_a_limit_counts_pictures_and_their_captions_come_back_from_numbers(flickr):
    data = find_task("flickr8k").load(flickr, 100)
    assert data.train.pictures.shape == (100, 3, 32, 32)
    assert (len(data.validation.shown), len(data.test.shown)) == (25, 100)
    assert data.full_size == 6_000
    row = next(i for i in range(len(data.train)) if 3 not in data.train.target[i])
    one = data.train.shown[int(data.train.picture[row])]
    written = caption_of(
        data.vocabulary, data.train.rows(torch.tensor([row]))["labels"][0].tolist()
    )
    assert written in one.captions


def test_an_image_size_is_that_of_the_pictures(flickr):
    task = find_task("flickr8k", data_options=DataOptions(image_size=(24, 16)))
    data = task.load(flickr, 4)
    output = task.model(data)(
        **{k: v for k, v in data.train.rows(slice(0, 2)).items() if k != "labels"}
    )
    assert data.train.pictures.shape[2:] == (24, 16)
    assert output.shape[2] == len(data.vocabulary)


def test_padding_is_no_label_and_every_caption_is_seen_once_in_an_epoch():
    shown = [Captioned("a", ("x y z", "x")), Captioned("b", ("y y",))]
    part = Captions.of(shown, torch.zeros(2, 3, 4, 4, dtype=torch.uint8), {"x": 4, "y": 5}, 9)
    rows = part.rows(slice(0, 3))
    assert rows["target"].tolist() == [[1, 4, 5, 3], [1, 4, 2, 0], [1, 5, 5, 2]]
    assert rows["labels"].tolist() == [[4, 5, 3, 2], [4, 2, -100, -100], [5, 5, 2, -100]]
    batches = [part.batch(step, seed=3, batch_size=1).columns for step in (1, 2, 3)]
    assert sorted(len(b["labels"][0]) for b in batches) == [2, 3, 4]
    assert part.rows(torch.tensor([1]))["labels"].tolist() == [[4, 2]]


def test_damaged_folders_are_refused_with_what_was_looked_for(flickr, tmp_path):
    task = find_task("flickr8k")
    with pytest.raises(DataError, match="give it: --data DIR"):
        task.load()
    with pytest.raises(DataError, match=r"looked for: captions.tsv.gz"):
        task.load(tmp_path)
    (tmp_path / "images_96px_webp.npz").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"cannot read .*images_96px_webp.npz"):
        task.load(tmp_path)
    with pytest.raises(TaskError, match="does not take --text-column"):
        find_task("flickr8k", data_options=DataOptions(text_columns=("a",)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flickr8k", "flickr8k-attention"])
def test_a_few_steps_end_in_captions_and_their_scores(flickr, tmp_path, name):
    design = Design(
        task=find_task(name),
        methods=pick(["fraternal"], find_task(name)),
        budget=Budget(epochs=1, batch_size=20, learning_rate=1e-3),
        seeds=1,
        trials=1,
        data=str(flickr),
        limit=8,
    )
    method = "fraternal"
    record = train(design.setup(method, design.settings(method)[0], 0), tmp_path)
    assert {f"test_bleu{n}" for n in range(1, 5)} <= set(record.scores)
    assert "tok:none|smooth:none" in record.environment["signatures"]["BLEU"]
    written = json.loads((tmp_path / "generated.json").read_text())
    assert len(written["texts"]) == len(written["inputs"]) == 8
