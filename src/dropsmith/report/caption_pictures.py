"""Test pictures with the captions that models trained by each method wrote for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from dropsmith.compare import Comparison
from dropsmith.errors import DataError, DropsmithError
from dropsmith.files import check, read_json
from dropsmith.report.html import escape, facts, paragraph
from dropsmith.report.pictures import task_and_data
from dropsmith.report.prediction_grids import thumbnail
from dropsmith.run_folder import GENERATED
from dropsmith.tasks import NO_OPTIONS, Captions, DataOptions

if TYPE_CHECKING:
    from dropsmith.record import Record

SHOWN = 12
"""Pictures on a page, at most: the first of the test set, whatever was written for them."""


def captions(
    comparison: Comparison,
    folder: Path | None,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
) -> str:
    """Pictures with their captions; nothing where no captions are in the folders of runs.

    Args:
        comparison: of a task that captions pictures.
        folder: of the comparison, with the folders of its runs.
        data, model, data_options: as for the page.
    """
    records = {
        row.method: row.finished_records[0] for row in comparison.rows if row.finished_records
    }
    written = {name: _written(record, folder) for name, record in records.items()}
    written = {name: texts for name, texts in written.items() if texts}
    if not written:
        return ""
    try:
        _, task_data = task_and_data(next(iter(records.values())), data, model, data_options)
    except DropsmithError as error:
        return paragraph(f"No pictures are shown: {error}")
    test = task_data.test
    if not isinstance(test, Captions):
        return ""
    blocks = [
        _block(
            test.images(slice(number, number + 1))[0],
            {name: texts.get(one.name, "") or "(nothing)" for name, texts in written.items()}
            | {"people": "; ".join(one.captions)},
        )
        for number, one in enumerate(test.shown[:SHOWN])
    ]
    distinct = "; ".join(
        f"{name}: {len(set(texts.values())):,} of {len(texts):,}" for name, texts in written.items()
    )
    return "\n".join(
        [
            paragraph(
                f"The first {len(blocks)} test pictures as the model sees them, with what the run "
                "of the first seed of each method wrote, and what people wrote. Different captions "
                f"among those of all test pictures: {distinct}."
            ),
            f'<div class="captions">\n{"".join(blocks)}</div>',
        ]
    )


def _written(record: "Record", folder: Path | None) -> dict[str, str]:
    """The captions of a run by the names of their pictures; none where it has kept none."""
    path = None if folder is None else folder / record.id / GENERATED
    if path is None or not path.is_file():
        return {}
    values = check(read_json(path), dict[str, list[str]])
    inputs, texts = values.get("inputs", []), values.get("texts", [])
    if inputs and len(inputs) != len(texts):
        raise DataError(f"{path} has {len(texts)} texts for {len(inputs)} inputs")
    return dict(zip(inputs, texts, strict=False))


def _block(picture: Tensor, texts: Mapping[str, str]) -> str:
    name = escape(f"test picture: {texts['people']}")
    return f'<article><img src="{thumbnail(picture)}" alt="{name}">\n{facts(texts)}\n</article>\n'
