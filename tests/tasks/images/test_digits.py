import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.tasks import find_task


@pytest.fixture(scope="module")
def data():
    return find_task("digits").load()


def test_the_parts_have_their_sizes_and_no_image_in_common(data):
    parts = [data.train, data.validation, data.test]
    assert [len(part) for part in parts] == [700, 200, 897]
    images = [row.numpy().tobytes() for part in parts for row in part.columns["image"]]
    assert len(set(images)) == 1797


def test_together_they_are_scikit_learns_images_between_zero_and_one(data):
    from sklearn.datasets import load_digits

    ours = torch.cat([p.columns["image"] for p in (data.train, data.validation, data.test)])
    theirs = torch.from_numpy(load_digits().images).float()
    assert ours.shape == (1797, 1, 8, 8)
    assert (ours.min(), ours.max()) == (0, 1)
    assert sorted((ours * 16).flatten(1).tolist()) == sorted(theirs.flatten(1).tolist())


def test_every_label_is_the_one_scikit_learn_gives_its_image(data):
    from sklearn.datasets import load_digits

    known = {image.tobytes(): label for image, label in zip(*_pairs(load_digits()), strict=True)}
    for image, label in zip(data.test.columns["image"], data.test.columns["labels"], strict=True):
        assert known[(image[0] * 16).double().numpy().tobytes()] == label


def _pairs(source):
    return source.images, source.target


def test_every_class_is_in_every_part_by_its_share(data):
    for part in (data.train, data.validation, data.test):
        counts = part.columns["labels"].bincount(minlength=10)
        assert (counts - len(part) / 10).abs().max() <= 0.04 * len(part) / 10 + 1.5


def test_a_limit_takes_a_balanced_beginning_and_leaves_the_test_alone(data):
    few = find_task("digits").load(limit=50)
    assert few.train.columns["labels"].bincount().tolist() == [5] * 10
    assert torch.equal(few.test.columns["image"], data.test.columns["image"])
    assert few.sha256 != data.sha256


def test_loading_again_is_free_and_gives_the_same(data):
    assert find_task("digits").load() is data


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(TaskError, match="carries its own images"):
        find_task("digits").load(tmp_path)
