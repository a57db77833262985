"""Images in several parts are counted by their pixels, and by what they look like."""

import importlib.util

import pytest
import torch

from dropsmith.tasks import DataOptions, find_task
from dropsmith.tasks.images import repeated_images
from dropsmith.tasks.images.image_task import image_split
from dropsmith.tasks.images.repeated_images import find_repeated_images


def parts(side=32):
    """One test image that training has, one that differs from it by a little, and others."""
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, side, side, generator=draw)
    near = (images[1] * 0.9 + 0.03).clamp(0, 1)
    test = torch.stack([images[0], near, images[5]])
    return {
        "train": image_split(images[:3], [0, 1, 0]),
        "validation": image_split(images[3:5], [0, 1]),
        "test": image_split(test, [1, 1, 0]),
    }


def test_equal_images_are_left_out_and_their_labels_compared(monkeypatch):
    monkeypatch.setattr(repeated_images, "find_spec", lambda name: None)
    left, notes = find_repeated_images(parts())
    assert [len(part) for part in left.values()] == [3, 2, 3]
    assert dict(notes) == {
        "repeated": "1 of 3 test pictures is in training too, and is kept; --drop-repeats train or "
        "test leaves it out; near duplicates are not counted: "
        'pip install "dropsmith[near-duplicates]"',
        "conflicts": "1 picture is there with more than one label",
    }
    for drop, sizes in (("train", [2, 2, 3]), ("test", [3, 2, 2])):
        left, notes = find_repeated_images(parts(side=8), drop)
        assert [len(part) for part in left.values()] == sizes
        assert [name for name, _ in notes] == ["repeated"]
    assert left["test"].columns["labels"].tolist() == [1, 0]


@pytest.mark.skipif(importlib.util.find_spec("imagehash") is None, reason="needs imagehash")
@pytest.mark.parametrize("channels", [1, 3])
def test_images_that_look_alike_are_counted_beside_equal_ones(channels):
    split = {
        part: image_split(value.columns["image"][:, :channels], value.columns["labels"])
        for part, value in parts().items()
    }
    _, notes = find_repeated_images(split, "test")
    assert dict(notes)["repeated"] == (
        "1 test picture is in an earlier part too, and is left out; "
        "1 of 2 test pictures looks like one of training (by a perceptual hash)"
    )


def test_digits_are_the_same_with_and_without_the_option_where_none_is_repeated():
    plain = find_task("digits").load()
    assert plain.notes == ()
    dropped = find_task("digits", data_options=DataOptions(drop_repeats="train")).load()
    assert dropped.sha256 == plain.sha256
