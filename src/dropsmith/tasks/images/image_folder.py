"""A user's own pictures: a folder with one subfolder for each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import torch

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import (
    PARTS,
    apply_limit,
    check_limit,
    check_parts,
    round_robin,
)
from dropsmith.tasks.images.folder_parts import image_parts
from dropsmith.tasks.images.folders import display_path, picture_folder
from dropsmith.tasks.images.image_task import ImageTask, Reader, image_split
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.images.picture_size import Size, usual_size
from dropsmith.tasks.images.preprocessing import PicturePreprocessing
from dropsmith.tasks.images.repeated_images import find_repeated_images
from dropsmith.tasks.task import Data

_SAMPLE = 1_000
"""Pictures that a size is found from, at most."""


def read_image_folder(
    data: Path | None = None, limit: int | None = None, options: DataOptions = NO_OPTIONS
) -> Data:
    """Pictures by class, each resized with its shape kept and cut around its centre.

    Its parts are those of `image_parts`.

    Args:
        data: the folder; each of its subfolders is a class.
        limit: training images, all where None.
        options: the folders of validation and test, the size of pictures, which is found from
            theirs where none is set, and the most that is read.

    Raises:
        DataError: there is no such folder, it holds one class only or too few pictures, a class
            has none, one of them cannot be read, or a bound is exceeded.
    """
    if data is None:
        raise DataError(
            "the task images reads a folder of pictures by class\n  give it: --data DIR"
        )
    check_limit(limit)
    validation, test = map(_folder_or_none, (options.validation, options.test))
    return _read(picture_folder(data), validation, test, limit, options)


def _folder_or_none(place: str | Path | None) -> Path | None:
    return None if place is None else picture_folder(Path(place))


@cached_by_files(2)
def _read(
    folder: Path,
    validation: Path | None,
    test: Path | None,
    limit: int | None,
    options: DataOptions,
) -> Data:
    reader, bounds = PictureReader(options.bounds), options.bounds
    files, notes = image_parts(folder, {"validation": validation, "test": test}, reader)
    names = sorted({path.parent.name for paths in files.values() for path in paths})
    numbers = {name: number for number, name in enumerate(names)}
    labels = {part: [numbers[path.parent.name] for path in files[part]] for part in PARTS}
    check_parts(labels, names, display_path(folder))
    sizes = [reader.size(path) for path in _sample(files["train"])]
    steps = PicturePreprocessing(size=options.image_size or usual_size(sizes), classes=tuple(names))
    selection = apply_limit(round_robin(labels["train"]), limit).tolist()
    files["train"] = [files["train"][i] for i in selection]
    labels["train"] = [labels["train"][i] for i in selection]
    height, width = steps.size
    picture_bytes = 3 * height * width * torch.float32.itemsize
    if picture_bytes * sum(map(len, files.values())) > bounds.picture_bytes:
        raise bounds.excess("picture_bytes", f"the folder {display_path(folder)}")
    splits = {p: image_split(steps.pixels(files[p], reader), labels[p]) for p in PARTS}
    splits, repeated = find_repeated_images(splits, options.drop_repeats)
    return Data.of(
        list(splits.values()),
        names=names,
        source=f"pictures in {folder.name}",
        notes=(*notes, *repeated, ("pictures", _size_note(sizes, steps.size))),
        preprocessing=steps,
    )


def _sample(files: Sequence[Path]) -> Sequence[Path]:
    return files[:: max(1, len(files) // _SAMPLE)]


def _size_note(sizes: Sequence[Size], size: Size) -> str:
    height, width = (median_low(side) for side in zip(*sizes, strict=True))
    if set(sizes) == {size}:
        return f"{height} × {width} pixels (height × width), as they are"
    return (
        f"{height} × {width} pixels (height × width) in the median; resized with their shape kept, "
        f"and cut around the centre to {size[0]} × {size[1]}"
    )


@dataclass(frozen=True, kw_only=True)
class ImageFolderTask(ImageTask):
    """A user's own pictures, for `SmallConv`.

    Args:
        name, read, budget, widths, home: as for `ImageTask`.
    """

    read: Reader = read_image_folder
    option_names = ("validation", "test", "image_size", "drop_repeats")

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return read_image_folder(data if data is not None else self.home, limit, self.data_options)


IMAGES = ImageFolderTask(
    name="images",
    budget=Budget(epochs=30, batch_size=32, learning_rate=1e-3, weight_decay=0.01),
    widths=(32, 64, 64),
)
