"""Names are text wherever they are shown: on pages, in pictures and in Markdown tables."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from compare.synthetic import LOSSES, comparison
from dropsmith.errors import printable
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.report import (
    main_grid,
    markdown_table,
    page,
    pictures,
    rich_table,
    runs_page,
    search_html,
    search_page,
)
from dropsmith.report.cells import picture_name
from learn.small import problem, searched, searches, trial

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "entity": "a&lt;b&#60;c&d;",
    "tag end": "</title></style></section></main><!-- --><![CDATA[",
    "markdown": "a|b`c`[d](javascript:alert(1))*e*<!-- /digits -->\\|",
    "lines": "one\ntwo\r\nthree\u2028four\tfive",
    "direction": "abc\u202edcba\u2066x",
    "control": "\x00\x01\x07\x08\x1b[31mred\x1b[0m\x7f\x85",
    "surrogate": "caf\udce9",
    "mathtext": "$\\frac{1}{$ _x_ $$",
    "letters": "日本語 עברית 🎲",
    "long": "x" * 10_000,
    "spaces": "  ",
}
EVERYTHING = " ".join(HOSTILE.values())[:9000]


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, in order, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids = [], []
        self.pictures = re.findall("<svg .*?</svg>", text, re.S)
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}", ()))

    def handle_comment(self, data):
        self.elements.append(("comment", ()))

    def handle_decl(self, decl):
        self.elements.append((decl, ()))

    def unknown_decl(self, data):
        self.elements.append(("unknown", ()))


def named(name):
    """A comparison in which a task, a method, its settings and what is known of it have a name."""
    made = comparison({method: LOSSES[method] for method in ("dropout", "none")})

    def run(record, **changes):
        facts = {"data_source": name, "device": name, name: name, "signatures": {name: name}}
        config = record.config | changes | {"task": name, "model": name}
        return replace(record, config=config, environment=record.environment | facts)

    baseline, row = made.rows
    records = tuple(run(record, method=name) for record in row.records)
    failure = replace(records[-1], status=f"stopped: {name}", scores={})
    trials = tuple(
        replace(
            trial,
            setting={name: 0.5},
            records=tuple(run(record, method=name) for record in trial.records),
        )
        for trial in row.trials
    )
    rows = (
        replace(baseline, records=tuple(map(run, baseline.records))),
        replace(row, method=name, trials=trials, records=(*records[:-1], failure)),
    )
    return replace(made, task=name, rows=rows)


def named_search(name):
    config = problem().config | {"task": name, "model": name}
    facts = {"data_source": name, "device": name}
    trials = (
        trial(0, (0, 0, 0), 0.5),
        trial(1, (1, 1, 1), None, "failed", why=name),
        trial(2, (2, 0, 1), 0.3),
    )
    run = searched(*trials, sampler=name)
    return searches(run, searched(trial(0, score=0.4)), config=config, environment=facts)


PAGES = {
    "comparison": lambda name: page(named(name)),
    "runs": lambda name: runs_page(named(name).rows[1].records),
    "search": lambda name: search_page(named_search(name), named(name)),
}


@pytest.fixture
def no_pictures(monkeypatch):
    for module in (pictures, search_html):
        monkeypatch.setattr(module, "picture", lambda *_: "")


@pytest.fixture(scope="module")
def plain():
    return {}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_page_has_the_same_elements_whatever_names_are(kind, name, plain, no_pictures):
    if kind not in plain:
        plain[kind] = Elements(PAGES[kind]("mine"))
    text = PAGES[kind](name)
    found = Elements(text)
    assert found.elements == plain[kind].elements
    assert found.ids == plain[kind].ids
    assert len(set(found.ids)) == len(found.ids)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text
    )
    text.encode()


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAGES)
def test_pictures_are_sound_whatever_names_are(kind):
    drawn, usual = (Elements(PAGES[kind](name)).pictures for name in (EVERYTHING, "mine"))
    assert len(drawn) == len(usual) > 0
    for picture, usual_picture in zip(drawn, usual, strict=True):
        forms = [
            {(element.tag, name) for element in tree.iter() for name in (None, *element.attrib)}
            for tree in map(ElementTree.fromstring, (picture, usual_picture))
        ]
        assert forms[0] == forms[1]
        assert len(picture) < 4 * len(usual_picture)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_markdown_table_keeps_its_cells_whatever_names_are(name):
    text, usual = (markdown_table(main_grid(named(each))) for each in (name, "mine"))
    assert len(text.splitlines()) == len(usual.splitlines())
    for line, usual_line in zip(text.splitlines()[:-2], usual.splitlines()[:-2], strict=True):
        bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", each)) for each in (line, usual_line)]
        assert bars[0] == bars[1]
    assert not re.search(r"<[A-Za-z/!?]|(?<!\\)\]\(|(?<!\\)(?:\\\\)*`", text)


def test_a_table_of_ordinary_names_has_no_escapes():
    text = markdown_table(main_grid(comparison({m: LOSSES[m] for m in ("dropout", "r-drop")})))
    assert "\\" not in text
    assert "&" not in text
    assert "< 0.001" not in text or "p < 0.001" in text


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_terminal_is_sent_no_control_characters(name):
    from rich.console import Console

    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        console.print(rich_table(main_grid(named(name))))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", capture.get())


def test_invisible_characters_are_spelled_and_others_stay():
    assert printable("a\x00\u202e\udce9b") == "a\\x00\\u202e\\udce9b"
    assert printable("日本語 עברית é\n") == "日本語 עברית é\n"
    assert len(picture_name("\x00" * 9999)) == 40


def test_rules_of_hostile_sites_are_text(no_pictures):
    plan = Plan(rule("<b>*</b>", Bernoulli(rate=0.1)))
    made = named("mine")
    records = tuple(
        replace(record, config=record.config | {"plan": plan.for_records()})
        for record in made.rows[1].records
    )
    rows = (made.rows[0], replace(made.rows[1], records=records))
    assert "<b>" not in page(replace(made, rows=rows))
