"""The page: one file, nothing from outside, readable without colours or pictures."""

import os
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from compare import synthetic
from compare.synthetic import (
    LOSSES,
    TASK,
    comparison,
    design,
    of_values,
    rescored,
    with_samples,
)
from dropsmith.compare import Row
from dropsmith.errors import DataError
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.report import Place, page, write_page
from dropsmith.report.html import save_page

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

FOUND = comparison(LOSSES)
PARTS = ("train", "validation", "test")
VOID = {"meta", "link", "img", "br"}


def test_the_page_has_the_facts_about_the_data_if_it_is_at_hand(html):
    facts = html.partition('<section id="data">')[2].partition("</section>")[0]
    assert "<dt>classes</dt><dd>10, with training examples each: 0 " in facts
    sizes = ", ".join(f"{name} {len(getattr(TASK.load(), name)):,}" for name in PARTS)
    assert f"<dt>split</dt><dd>{sizes}" in facts
    other = comparison(LOSSES)
    for record in other.records:
        record.environment["data_sha256"] = "of other examples"
    assert '<section id="data">' not in page(other)


@pytest.fixture(scope="module")
def html():
    """The page of most tests here, written once."""
    return page(FOUND)


class Outline(HTMLParser):
    """Open tags, addresses, headings and images of a page."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.tags, self.images, self.ids = [], [], [], [], []
        self.scripts = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [found[name] for name in ("src", "href") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        if tag == "svg":
            self.images.append(found)
        if tag == "script":
            self.scripts.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def outline(html):
    found = Outline()
    found.feed(html)
    return found


def test_every_tag_that_opens_closes_in_its_place(outline):
    assert outline.open == []


def test_it_asks_for_nothing_from_anywhere(outline, html):
    assert all(address.startswith(("data:", "#")) for address in outline.addresses)
    style = re.search(r"<style>(.*?)</style>", html, re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert outline.scripts == [{}]
    script = re.search(r"<script>(.*?)</script>", html, re.S).group(1)
    assert not re.search("fetch|import|XMLHttp|https?:|eval|innerHTML", script)


def test_every_picture_says_in_words_what_it_shows(outline):
    assert len(outline.images) == 2 * 4  # each for a wide and for a narrow screen
    assert all(len(image["aria-label"]) > 30 for image in outline.images)
    assert all(image["role"] == "img" for image in outline.images)


def test_it_names_its_language_and_has_one_main_heading(outline, html):
    assert '<html lang="en">' in html
    assert (outline.tags.count("h1"), outline.tags.count("main")) == (1, 1)
    assert len(set(outline.ids)) == len(outline.ids)


def test_it_says_how_to_make_it_again(html):
    command = "dropsmith compare digits --with none,dropout,spatial,two-sample,fraternal,r-drop"
    options = f"--seeds 3 --trials 3 --tuning-seeds 2 --budget {TASK.budget.epochs}"
    assert f"{command} {options}</code>" in html


def test_a_plan_among_tuned_methods_is_called_untuned_and_written_out():
    plan = Plan(rule("convs.*", Bernoulli(rate=0.15)))
    made = design(("learned",), plans=(("learned", plan),))
    runs = [
        synthetic.record(made.setup("learned", made.settings("learned")[0], n)) for n in range(3)
    ]
    own = Row(method="learned", trials=(), setting={"weight_decay": 0.01}, records=tuple(runs))
    html = page(replace(FOUND, rows=(own, *FOUND.rows)))
    assert "Each method&#x27;s setting is the best of 3 on validation" in html
    assert "which is not tuned: rule(&#x27;convs.*&#x27;, Bernoulli(rate=0.15))" in html
    assert "--tuning-seeds 2 --budget 40 --plan learned=learned.json</code>" in html
    assert "--with none,dropout," in html


def test_untuned_settings_are_called_untuned():
    found = comparison({"dropout": [0.1, 0.2]})
    untuned = replace(found, rows=(replace(found.rows[0], trials=()),))
    html = page(untuned)
    assert "nothing was tuned" in html
    assert "<details>" not in html


def test_every_number_of_the_table_is_on_it(html):
    for text in ("95.75", "0.170", "[+0.22, +0.94]", "rate 0.3", "two-sample"):
        assert text in html


def test_text_from_records_cannot_become_markup():
    broken = comparison({"dropout": [0.1, 0.2]}, failed=(1,))
    record = broken.rows[0].records[1]
    object.__setattr__(record, "status", "crashed: <script>alert(1)</script>")
    html = page(broken)
    assert html.count("<script>") == 1
    assert "<script>alert" not in html


def test_it_is_written_whole_and_the_same_each_time(tmp_path, html, monkeypatch):
    monkeypatch.undo()  # With its pictures.
    (tmp_path / "report.html").write_text(2 * html)  # of a time when it was longer
    place = Place()
    assert write_page(FOUND, tmp_path, place=place).read_text() == html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_task_that_is_not_there_any_more_leaves_the_rest_of_the_page():
    lost = comparison({"dropout": [0.1, 0.2]})
    for record in lost.records:
        record.config["task"] = "/no/such/folder"
    html = page(lost)
    assert "No masks are drawn" in html
    assert ">Results<" in html


def given(found):
    for record in found.records:
        record.environment["data_given"] = True
    return found


def test_records_hold_no_path_so_masks_need_one_where_the_data_was_given():
    found = given(comparison({"dropout": [0.1, 0.2]}))
    assert "give --data DIR" in page(found)


def test_a_model_that_only_a_record_names_is_never_imported(tmp_path, monkeypatch):
    (tmp_path / "evil_model.py").write_text(
        "from pathlib import Path\nPath('ran').touch()\nmake = None\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "evil_model", raising=False)
    found = comparison({"dropout": [0.1, 0.2]})
    for record in found.records:
        record.config["model"] = "evil_model:make"
    assert "give --model evil_model:make" in page(found)
    assert "evil_model" not in sys.modules
    assert not (tmp_path / "ran").exists()
    assert "no function &#x27;make&#x27;" in page(found, model="evil_model:make")


def test_a_task_that_is_a_path_is_not_read_because_a_record_says_so(tmp_path):
    found = comparison({"dropout": [0.1, 0.2]})
    for record in found.records:
        record.config["task"] = str(tmp_path)
    assert "give --data DIR" in page(found)


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_a_page_takes_the_place_of_a_file_and_of_nothing_else(kind, tmp_path):
    victim, path = tmp_path / "victim.txt", tmp_path / "report.html"
    victim.write_text("mine")
    {
        "link": lambda: path.symlink_to(victim),
        "dangling link": lambda: path.symlink_to(tmp_path / "new.txt"),
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
    }[kind]()
    with pytest.raises(DataError, match=r"report\.html is (a link|no file), and is left alone"):
        save_page("<p>", tmp_path)
    assert victim.read_text() == "mine"
    assert {each.name for each in tmp_path.iterdir()} == {"victim.txt", "report.html"}


def test_a_folder_that_is_given_as_a_link_gets_its_page(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    save_page("<p>", tmp_path / "link")
    assert (tmp_path / "runs" / "report.html").read_text() == "<p>"


def test_masks_are_not_drawn_over_other_data_than_that_of_the_runs():
    found = comparison({"dropout": [0.1, 0.2]})
    for record in found.records:
        record.environment["data_sha256"] = "of other examples"
    assert "No masks are drawn: the data that the runs were made on" in page(found)


def test_samples_and_what_it_took_to_have_them_are_on_the_page(html):
    assert "mean of 7 noisy passes" not in html
    sampled = page(with_samples(FOUND, ["r-drop"]))
    assert "the mean of 7 noisy passes" in sampled
    assert "--samples 7 --samples-of r-drop" in sampled


def test_a_regressions_page_speaks_of_errors_and_not_of_accuracy():
    html = page(rescored(FOUND, of_values))
    assert "test RMSE" in html
    assert "accuracy" not in re.sub(r"<svg.*?</svg>", "", html, flags=re.S)


def test_masks_are_drawn_over_data_within_bounds(tmp_path):
    from dropsmith.report.pictures import task_and_data
    from dropsmith.tasks import Bounds, DataOptions

    path = tmp_path / "films.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(60)))
    record = next(iter(FOUND.records))
    config = {**record.config, "task": "films", "model": None, "limit": None}
    own = replace(record, config=config)
    with pytest.raises(DataError, match="more than 59 rows"):
        task_and_data(own, path, data_options=DataOptions(bounds=Bounds(rows=59)))
    with pytest.raises(DataError, match="the data that the runs were made on"):
        task_and_data(own, path, data_options=DataOptions(bounds=Bounds(rows=60)))
