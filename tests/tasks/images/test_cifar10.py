import gzip
import hashlib

import pytest
import torch

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import Bounds, find_task
from dropsmith.tasks.images import cifar10
from dropsmith.tasks.images.picture_reader import PictureReader


@pytest.fixture(scope="module")
def folder(data_dir):
    return data_dir / "cifar10"


@pytest.fixture(scope="module")
def data(folder):
    return find_task("cifar10").load(folder, 1_000)


@pytest.mark.slow
def test_the_test_images_are_the_published_ones_to_the_byte(data):
    pixels = (data.test.columns["image"] * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    digest = hashlib.sha256(pixels.contiguous().numpy()).hexdigest()
    # Of the uint8 array (10000, 32, 32, 3) in the folder's order, as its README gives it.
    assert digest == "87c0227d456b8832996c9c8d37fa4f33e85d75d4893b244ae90ec9a4b7078c90"
    assert data.test.columns["labels"].bincount().tolist() == [1_000] * 10


def test_training_and_validation_are_balanced_and_apart(data):
    assert data.train.columns["labels"].bincount().tolist() == [100] * 10
    assert data.validation.columns["labels"].bincount().tolist() == [200] * 10
    images = {
        row.numpy().tobytes() for p in (data.train, data.validation) for row in p.columns["image"]
    }
    assert len(images) == 3_000


def test_images_look_like_their_published_statistics(data):
    mean = data.validation.columns["image"].mean((0, 2, 3))
    spread = torch.tensor([0.24703, 0.24349, 0.26159])
    # Means of images differ less than pixels do; ten in a hundred of that is generous for 2,000.
    assert (mean - torch.tensor([0.4914, 0.4822, 0.4465])).abs().max() < 0.1 * spread.min()


def test_a_label_is_the_one_the_index_gives_its_position(data, folder):
    with gzip.open(folder / "index.tsv.gz", "rt") as lines:
        rows = [line.split("\t") for line in lines]
    expected = [int(row[2]) for row in rows if row[0] == "train" and int(row[1]) < 1_000]
    assert data.train.columns["labels"].tolist() == expected
    assert {row[3] for row in rows if row[2] == "3"} == {data.names[3]}


def test_a_folder_without_it_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no CIFAR-10 in[\s\S]*index.tsv.gz"):
        find_task("cifar10").load(tmp_path)


def test_a_picture_that_cannot_be_read_or_is_no_mosaic_is_named(tmp_path):
    from PIL import Image

    (tmp_path / "train_00.avif").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cannot read .*train_00.avif: no picture of a known kind"):
        cifar10._tiles(PictureReader(), tmp_path / "train_00.avif")
    Image.new("RGB", (32, 32)).save(tmp_path / "test_00.webp")
    with pytest.raises(DataError, match=r"test_00.webp is no mosaic"):
        cifar10._tiles(PictureReader(), tmp_path / "test_00.webp")


def test_a_mosaic_is_read_tile_by_tile_along_its_rows(tmp_path):
    import numpy as np
    from PIL import Image

    numbers = np.arange(1000).reshape(40, 25)
    mosaic = np.zeros((40 * 32, 25 * 32, 3), np.uint8)
    mosaic[..., 0] = np.kron(numbers // 256, np.ones((32, 32)))
    mosaic[..., 1] = np.kron(numbers % 256, np.ones((32, 32)))
    Image.fromarray(mosaic).save(tmp_path / "m.png")
    tiles = cifar10._tiles(PictureReader(), tmp_path / "m.png").long()
    assert tiles.shape == (1000, 32, 32, 3)
    assert torch.equal(tiles[..., 0] * 256 + tiles[..., 1], _numbers())


def _numbers():
    return torch.arange(1000)[:, None, None].expand(1000, 32, 32)


@pytest.mark.slow
def test_more_images_than_there_are_is_refused(folder):
    with pytest.raises(TaskError, match="there are 48000"):
        find_task("cifar10").load(folder, 48_001)


COUNTS = {"train": 50_000, "test": 10_000}
ROWS = [f"{part}\t{i}\t{i % 10}\tname" for part, count in COUNTS.items() for i in range(count)]


def index(folder, rows, header="split\tposition\tlabel\tclass"):
    (folder / "index.tsv.gz").write_bytes(gzip.compress("\n".join([header, *rows]).encode(), 1))
    return cifar10._labels(folder, Bounds())


@pytest.mark.slow
def test_every_label_of_the_index_is_read(tmp_path):
    labels = index(tmp_path, ROWS[::-1])
    assert {part: column.tolist() for part, column in labels.items()} == {
        part: [i % 10 for i in range(count)] for part, count in COUNTS.items()
    }


@pytest.mark.parametrize(
    "row",
    ["train\t-1\t3\tx", "train\t50000\t3\tx", "test\t10000\t3\tx", "trian\t1\t3\tx",
     "train\t1\t10\tx", "train\t1\t-3\tx", "train\t1\t\tx", "train\t1.0\t3\tx",
     f"train\t{'9' * 5000}\t3\tx", "train\t\u00b2\t3\tx"],
    ids=range(10),
)  # fmt: skip
def test_a_row_of_the_index_that_is_no_image_is_named(tmp_path, row):
    with pytest.raises(DataError, match=r"line 3 of .*index\.tsv\.gz is no image of CIFAR-10"):
        index(tmp_path, [ROWS[0], row])


@pytest.mark.slow
def test_an_index_that_lacks_a_label_or_a_column_or_is_damaged_is_refused(tmp_path):
    with pytest.raises(DataError, match="no label for the train image 7"):
        index(tmp_path, ROWS[:7] + ROWS[8:])
    with pytest.raises(DataError, match=r"line 4 of .* is the second of train image 1"):
        index(tmp_path, [*ROWS[:2], ROWS[1]])
    with pytest.raises(DataError, match="no column 'label' in"):
        index(tmp_path, [ROWS[0]], header="split\tposition\tlable\tclass")
    (tmp_path / "index.tsv.gz").write_bytes(gzip.compress(b"split\n")[:-9])
    with pytest.raises(DataError, match="cut off"):
        cifar10._labels(tmp_path, Bounds())


@pytest.mark.parametrize(("mode", "size"), [("RGB", (32, 31)), ("F", (32, 32)), ("I;16", (32, 32))])
def test_an_image_of_the_hub_that_is_none_of_the_published_ones_is_refused(mode, size):
    from PIL import Image

    part = Table({"img": [Image.new(mode, size)], "label": [0]})
    with pytest.raises(DataError, match=r"is no 32 × 32 pixels of 8-bit colours: .*\n  empty the"):
        cifar10.hub_split(part, torch.tensor([0]))


class Table:
    """As much of a data set of the Hub as is read."""

    def __init__(self, columns):
        self.columns = columns

    def __getitem__(self, rows):
        return {name: [column[row] for row in rows] for name, column in self.columns.items()}


def test_a_mosaic_of_more_pixels_than_the_bound_is_refused(tmp_path):
    from PIL import Image

    Image.new("RGB", (800, 1280)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="800 × 1,280 and holds more than 1,000,000 pixels"):
        cifar10._tiles(PictureReader(Bounds(pixels=1_000_000)), tmp_path / "m.png")


def test_a_path_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match=r"no folder .*loop"):
        find_task("cifar10").load(tmp_path / "loop")
