"""Preprocessing read back from its JSON, whatever kind it is of."""

from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, did_you_mean, excerpt
from dropsmith.tasks.data.preprocessing import Preprocessing
from dropsmith.tasks.images.preprocessing import PicturePreprocessing
from dropsmith.tasks.mixed.preprocessing import MixedPreprocessing
from dropsmith.tasks.numbers.preprocessing import NumbersPreprocessing
from dropsmith.tasks.text.preprocessing import TextPreprocessing
from dropsmith.tasks.text.token_preprocessing import TokenPreprocessing

_CLASSES: tuple[type[Preprocessing], ...] = (
    TextPreprocessing,
    NumbersPreprocessing,
    MixedPreprocessing,
    PicturePreprocessing,
    TokenPreprocessing,
)


def preprocessing_from_json(values: Any, folder: Path) -> Preprocessing:
    """The preprocessing of the `kind` that JSON values name.

    Args:
        values: as `Preprocessing.to_json` returns them.
        folder: the one that `Preprocessing.save_files` wrote to.

    Raises:
        DataError: they are no preprocessing, or a file that belongs to them is missing.
    """
    kind = values.get("kind") if isinstance(values, dict) else None
    by_kind = {c.kind: c for c in _CLASSES}
    if not isinstance(kind, str) or kind not in by_kind:
        raise DataError(
            f"no kind of preprocessing is called {excerpt(kind)}\n"
            f"  the kinds are: {', '.join(by_kind)}" + did_you_mean(str(kind), by_kind)
        )
    return by_kind[kind].from_json(values, folder)
