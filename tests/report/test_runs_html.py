"""The page of runs that were made one by one: shown side by side, and never compared."""

from dataclasses import replace

import pytest

from compare.synthetic import comparison
from dropsmith.report import runs_page, write_runs_page
from dropsmith.report.curves import run_curves_figure
from report.test_comparison_html import Outline

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

FOUND = comparison({"dropout": [0.2, 0.3], "r-drop": [0.1]}, failed=(1,))
RUNS = tuple(record for row in FOUND.rows for record in row.records)


@pytest.fixture(scope="module")
def html():
    """The page of most tests here, written once."""
    return runs_page(RUNS)


def outline(html):
    found = Outline()
    found.feed(html)
    return found


def test_it_is_a_whole_page_that_asks_for_nothing_from_anywhere(html):
    seen = outline(html)
    assert seen.open == []
    assert all(address.startswith(("data:", "#")) for address in seen.addresses)
    assert (seen.tags.count("h1"), len(set(seen.ids))) == (1, len(seen.ids))
    assert all(len(image["aria-label"]) > 30 for image in seen.images)


def test_every_run_is_on_it_with_its_settings_and_how_it_ended(html):
    for record in RUNS:
        method, seed = record.config["method"], record.config["seed"]
        assert f"{record.id}: {method}, seed {seed}" in html
    assert "diverged: step 3" in html
    assert "Bernoulli(rate=0.1)" in html


def test_nothing_on_it_is_a_difference(html):
    assert "not compared" in html
    assert "Δ" not in html
    assert "95 %" not in html


def test_a_method_has_a_panel_and_every_finished_run_a_line():
    figure = run_curves_figure(RUNS)
    panels = {panel.get_title(loc="left"): len(panel.lines) for panel in figure.axes}
    assert {name: count for name, count in panels.items() if name} == {"dropout": 1, "r-drop": 1}
    again = replace(RUNS[0], config=RUNS[0].config | {"seed": 5})
    assert [len(panel.lines) for panel in run_curves_figure((*RUNS, again)).axes][:2] == [2, 1]


def test_runs_of_several_tasks_have_a_part_for_each():
    other = replace(RUNS[0], config=RUNS[0].config | {"task": "cats"})
    seen = outline(runs_page((*RUNS, other)))
    assert {"task-1", "task-2"} <= set(seen.ids)


def test_runs_that_all_stopped_have_a_page_without_curves():
    stopped = tuple(record for record in RUNS if record.status != "finished")
    assert run_curves_figure(stopped) is None
    assert "diverged: step 3" in runs_page(stopped)


def test_it_is_written_into_the_folder_of_the_runs(html, tmp_path, monkeypatch):
    monkeypatch.undo()  # With its pictures.
    path = write_runs_page(RUNS, tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_text() == html


def test_it_says_whose_weights_a_run_began_from(html):
    begun, sentences = [], []
    told = {"record": "0123456789ab", "task": "digits", "method": "dropout", "seed": 4}
    for seed, start, said in (
        (5, told, "the best weights of 0123456789ab (digits with dropout, seed 4)"),
        (6, {"file": "mine.safetensors"}, "the weights in mine.safetensors, SHA-256 ffffffffffff…"),
        (7, None, "weights of SHA-256 ffffffffffff…"),  # of a run that did not come to its end
    ):
        environment = RUNS[0].environment | ({} if start is None else {"start": start})
        config = RUNS[0].config | {"start": 64 * "f", "seed": seed}
        begun.append(replace(RUNS[0], config=config, environment=environment))
        sentences.append(f"<li>{begun[-1].id} started from {said}.</li>")
    assert len({run.id for run in begun}) == 3
    page = runs_page((*begun, *RUNS))
    assert page.count("started from") == 3
    assert all(sentence in page for sentence in sentences)
    assert "started from" not in html
