"""Captions on the page of a comparison."""

from dataclasses import replace

import pytest
from PIL import Image

from compare.synthetic import LOSSES, comparison
from dropsmith.files import json_text
from dropsmith.report import write_page
from dropsmith.tasks import find_task

pytestmark = pytest.mark.usefixtures("undrawn_pictures")


@pytest.fixture
def captioned(tmp_path):
    """A comparison of runs on captions, its folder, and the folder of the pictures."""
    data, runs = tmp_path / "data", tmp_path / "runs"
    data.mkdir()
    rows = ["image,caption,split"]
    for part in ("train", "val", "test"):
        Image.new("RGB", (16, 16), "red").save(data / f"{part}.png")
        rows.append(f"{part}.png,a red <square>,{part}")
    (data / "captions.csv").write_text("\n".join(rows))
    made, sha256 = comparison(LOSSES), find_task("captions").load(data).sha256
    changed = tuple(
        replace(
            row,
            records=tuple(
                replace(
                    record,
                    config=record.config | {"task": "captions"},
                    environment=record.environment | {"data_sha256": sha256},
                )
                for record in row.records
            ),
        )
        for row in made.rows
    )
    for row in changed:
        folder = runs / row.records[0].id
        folder.mkdir(parents=True)
        texts = {"inputs": ["test.png"], "texts": [f"written by <{row.method}>"]}
        (folder / "generated.json").write_text(json_text(texts))
    return replace(made, task="captions", rows=changed), runs, data


def test_the_page_shows_each_test_picture_with_the_caption_of_every_method(captioned):
    made, runs, data = captioned
    html = write_page(made, runs, data).read_text()
    shown = html.partition('<section id="captions">')[2].partition("</section>")[0]
    assert shown.count("<img src=") == 1
    for row in made.rows:
        assert f"written by &lt;{row.method}&gt;" in shown
    assert "a red square" in shown
    assert "1 of 1" in shown


def test_without_pictures_the_page_says_why_and_without_captions_it_says_nothing(captioned):
    made, runs, data = captioned
    html = write_page(made, runs, None).read_text()
    assert "No pictures are shown: " in html
    assert '<section id="captions">' not in write_page(made, data, data).read_text()
