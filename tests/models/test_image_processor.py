import json

import pytest

from dropsmith.errors import TaskError
from dropsmith.models.image_processor import ImageProcessor

pytest.importorskip("transformers")
USUAL = {"image_mean": [0.2, 0.5, 0.4], "image_std": [0.5, 0.25, 1]}


def load(folder, values):
    text = values if isinstance(values, str) else json.dumps(values)
    (folder / "preprocessor_config.json").write_text(text)
    return ImageProcessor.load(str(folder))


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ({}, None),
        ({"size": 12, "unknown": [1]}, (12, 12)),
        ({"size": {"height": 12, "width": 8}}, (12, 8)),
        ({"size": {"shortest_edge": 14}, "rescale_factor": 0.00392156862745098}, (14, 14)),
        ({"size": {"shortest_edge": 14}, "do_center_crop": True, "crop_size": 12}, (12, 12)),
        ({"size": 14, "do_center_crop": False, "crop_size": 12}, (14, 14)),
        ({"size": None, "do_rescale": None, "do_normalize": True}, None),
    ],
)
def test_what_a_file_says_is_what_is_done(tmp_path, more, size):
    found = load(tmp_path, USUAL | more)
    assert found == ImageProcessor((0.2, 0.5, 0.4), (0.5, 0.25, 1.0), size)


def test_a_model_that_normalises_nothing_is_given_its_pixels_as_they_are(tmp_path):
    for values in ({"do_normalize": False}, USUAL | {"do_normalize": False}):
        assert load(tmp_path, values) == ImageProcessor((0.0,), (1.0,), None)


BROKEN = {
    "no colours": ({}, "field image_mean is missing"),
    "text": (USUAL | {"image_mean": "0.5"}, "field image_mean should be a valid list"),
    "one colour is text": (USUAL | {"image_std": [1, 1, "1"]}, "image_std.2 should be a valid num"),
    "no colour": ({"image_mean": [], "image_std": []}, "image_mean"),
    "a deviation of nothing": (USUAL | {"image_std": [1, 0, 1]}, "image_std.1 should be greater"),
    "a deviation below": (USUAL | {"image_std": [1, -1, 1]}, "image_std.1 should be greater"),
    "no number": (USUAL | {"image_mean": [1, float("nan"), 1]}, "image_mean.1"),
    "infinite": (USUAL | {"image_std": [float("inf")] * 3}, "image_std.0 should be less"),
    "unequal": (USUAL | {"image_std": [1]}, "it has 3 means of colours and 1 deviations"),
    "a number": (USUAL | {"do_normalize": 2}, "do_normalize should be a valid bool"),
    "bytes": (USUAL | {"do_rescale": False}, "it does not bring pixels of 0 to 255 to 0 to 1"),
    "another scale": (USUAL | {"rescale_factor": 1 / 127.5}, "it does not bring pixels"),
    "an offset": (USUAL | {"rescale_offset": True}, "it moves pixels by an offset"),
    "a size of nothing": (USUAL | {"size": 0}, "height should be greater than 0"),
    "a size of much": (USUAL | {"size": {"height": 10**9, "width": 4}}, "height should be less"),
    "a list": ("[1]", "is no JSON object"),
    "a value": ("3", "is no JSON object"),
    "null": ("null", "cannot read the pretrained model"),
    "deep": ("[" * 100_000, ""),
    "no JSON": ("{", "cannot read the pretrained model"),
    "empty": ("", "cannot read the pretrained model"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_says_something_else_is_refused_in_words(tmp_path, name):
    values, sentence = BROKEN[name]
    with pytest.raises(TaskError, match=f"{sentence}[\\s\\S]*--model"):
        load(tmp_path, values)
