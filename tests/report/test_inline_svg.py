"""Pictures inside the page: large enough to read on either screen, and in its colours."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.report import pictures
from dropsmith.report.comparison_figures import cost_figure, forest_figure
from dropsmith.report.curves import curves_figure, is_clipped
from dropsmith.report.figures import NARROW, WIDE
from dropsmith.report.inline_svg import inline_svg, picture
from dropsmith.report.search_figures import preferred_figure, scores_figure
from learn.small import searched, searches, trial

FOUND = comparison(LOSSES)
SEARCH = searches(searched(*(trial(n, (n % 3, n % 2, n // 8), 1 / (n + 1)) for n in range(12))))
DRAW = {
    "forest": lambda width: forest_figure(FOUND, width),
    "costs": lambda width: cost_figure(FOUND, width),
    "curves": lambda width: curves_figure(FOUND, width),
    "scores": lambda width: scores_figure(SEARCH, width),
    "preferred": lambda width: preferred_figure(SEARCH.runs[0], SEARCH, width),
}
SCREENS = {WIDE: 960 - 40, NARROW: 390 - 40}
"""The least pixels that a picture has between the margins of the page."""


@pytest.mark.parametrize("width", SCREENS)
@pytest.mark.parametrize("name", DRAW)
def test_letters_have_eleven_pixels_on_the_smallest_screen_of_a_width(name, width):
    svg = inline_svg(DRAW[name](width), "p", "picture", "words")
    _, _, units, _ = map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split())
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
    assert len(sizes) > 5
    assert min(sizes) * SCREENS[width] / units >= 11


@pytest.mark.parametrize("name", DRAW)
def test_it_has_no_colour_of_its_own_no_style_and_no_id_without_its_prefix(name):
    svg = inline_svg(DRAW[name](WIDE), "here", "picture", "words")
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert all(found.startswith("here-") for found in re.findall(r' id="([^"]*)"', svg))
    assert all(found.startswith("#here-") for found in re.findall(r'href="(#[^"]*)"', svg))
    assert all(found.startswith("here-") for found in re.findall(r"url\(#([^)]*)\)", svg))
    if name != "preferred":  # its shades are those of a colour map
        assert not re.search(r"(fill|stroke): #", svg)


def titles(svg):
    return [each.text for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("}title")]


@pytest.mark.slow
def test_values_stand_under_the_pointer():
    forest = titles(inline_svg(DRAW["forest"](WIDE), "p", "picture", "words"))
    assert any(re.match(r"r-drop: −0\.050 \[.*\], better", text) for text in forest)
    assert "7.0 s" in titles(inline_svg(DRAW["costs"](WIDE), "p", "picture", "words"))
    assert "trial 3: 0.2500" in titles(inline_svg(DRAW["scores"](WIDE), "p", "picture", "words"))
    assert any("lowest" in text for text in titles(inline_svg(DRAW["curves"](WIDE), "p", "c", "w")))


def test_each_place_of_a_heat_map_has_its_share_under_the_pointer():
    shown = titles(inline_svg(DRAW["preferred"](WIDE), "p", "picture", "words"))
    assert "convs.draw = none: 0 % of trials 0 to 11" in shown
    sizes = [re.match(r"convs.size = (\d): (\d+) % of trials (\d+) to (\d+)", t) for t in shown]
    covered = [
        trial
        for found in sizes
        if found is not None and found[1] == "1"
        for trial in range(int(found[3]), int(found[4]) + 1)
    ]
    assert covered == list(range(12))


def test_a_full_share_is_dark_in_dark_mode_as_well():
    svg = inline_svg(DRAW["preferred"](WIDE), "p", "picture", "words")
    cells = re.findall(r"<title>[^<]*: (\d+) %[^<]*</title>\s*<path [^>]*style=\"([^\"]*)\"", svg)
    assert {"0"} < {share for share, _ in cells}
    assert not [style for _, style in cells if "var(" in style]


def test_nothing_to_draw_is_nothing_on_the_page():
    assert picture("name", lambda width: None, "alt", "caption") == ""


@pytest.mark.slow
def test_curves_that_are_cut_off_say_so():
    steep = pictures.curves(FOUND)
    assert "are cut off" in steep
    rows = [
        replace(row, records=tuple(replace(run, curve=run.curve[5:]) for run in row.records))
        for row in FOUND.rows
    ]
    flat = replace(FOUND, rows=tuple(rows))
    assert "are cut off" not in pictures.curves(flat)
    assert not is_clipped([])


def test_runs_that_were_evaluated_once_have_a_sentence_and_no_empty_picture():
    rows = [
        replace(row, records=tuple(replace(run, curve=run.curve[:1]) for run in row.records))
        for row in FOUND.rows
    ]
    once = pictures.curves(replace(FOUND, rows=tuple(rows)))
    assert once == "<p>There is no curve to draw: every run was evaluated once.</p>"
    assert pictures.run_curves(rows[0].records) == once


def test_the_gallery_draws_each_method_at_its_chosen_rate(monkeypatch):
    from dropsmith.report import gallery

    shown = []
    draw = gallery.gallery_figure
    monkeypatch.setattr(
        gallery, "gallery_figure", lambda b, d, *rest: shown.append(d) or draw(b, d, *rest)
    )
    html = pictures.gallery(FOUND.records[-1], pictures.chosen_plans(FOUND))
    rates = {name: FOUND.row(name).setting["rate"] for name in ("dropout", "spatial", "r-drop")}
    found = {
        name: example.rule.pattern.rate
        for example in shown[0]
        for name in example.noise.split(", ")
    }
    assert rates.items() <= found.items()
    assert "none" not in found
    assert "Without noise: none." in html
    counts = re.findall(r"<title>spatial: ([\d,]+) of ([\d,]+) values set to zero", html)
    assert len(counts) == 2 * 3  # wide and narrow, three examples
    assert all(int(count) <= int(total.replace(",", "")) for count, total in counts)
