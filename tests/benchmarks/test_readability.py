"""What is counted in a source is what was put into it: a tiny package with known figures."""

import json
import textwrap
from pathlib import Path

import pytest

readability = pytest.importorskip("benchmarks.readability", reason="run from the repository's root")
hops = pytest.importorskip("benchmarks._hops")
source = pytest.importorskip("benchmarks._source")
words = pytest.importorskip("benchmarks._words")

FILES = {
    "toy/__init__.py": "from toy.alpha import area\n",
    "toy/alpha/__init__.py": '"""Where shapes are."""\nfrom toy.alpha.shapes import area\n',
    "toy/alpha/shapes.py": '''
        """Shapes."""
        from toy.beta import scale
        from toy.alpha import area as itself


        def area(width, found):
            """How large it is.

            In square metres.
            """
            own = width * found

            def told_apart(value):
                return value

            return told_apart(own)


        class Shape:
            """A shape."""

            kept: int = 0

            def __init__(self, side):
                self.given = self.given = side
                self.rows = [one for one in range(3)]
                _, self.last = side, lambda seen: seen
    ''',
    "toy/beta.py": "scale = 3\n",
    "toy/gamma/__init__.py": "",
    "toy/gamma/long.py": '"""Why not."""\n'
    + "from toy.alpha.shapes import area, Shape\nfrom toy.alpha import area as again\n"
    + "from toy.beta import scale\nfrom os.path import join\n"
    + "# nothing\n" * 41,
}


@pytest.fixture
def toy(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return tmp_path / "toy"


@pytest.fixture
def files(toy):
    return source.files_of(toy)


def test_doors_are_neither_small_files_nor_part_of_the_median(files):
    lines = {str(file.path): file.lines for file in files}
    assert lines["toy/alpha/shapes.py"] == 27
    assert lines["toy/gamma/long.py"] == 46
    assert source.file_sizes(files) == {"all": 6, "no_doors": 3, "median": 27, "small": 2}


def test_a_function_is_as_long_as_its_lines_without_its_docstring(files):
    # area: 11 lines, of which 4 are docstring; told_apart: 2; __init__: 4.
    assert sorted(source.function_lengths(files)) == [2, 4, 7]


def test_a_docstring_that_opens_with_a_question_word_is_known_by_its_first_word(files):
    texts = source.docstrings(files)
    assert len(texts) == 5
    questions = sorted(text.split()[0] for text in texts if source.opens_with_question(text))
    assert questions == ["How", "Where", "Why"]
    assert not source.opens_with_question("However it is.")


def test_every_scope_names_a_thing_once(files):
    expected = (
        "area width found own told_apart value Shape kept side given rows one last seen scale"
    )
    assert sorted(source.names_of(files)) == sorted(expected.split())


def test_names_without_a_noun_are_counted(files):
    counts = source.sentence_names(source.names_of(files))
    assert counts == dict.fromkeys(
        ("found", "own", "told_apart", "kept", "given", "one", "seen"), 1
    )


@pytest.mark.parametrize(
    "name", ["one", "_own", "made_for", "chosen", "asked", "as_tried", "Told", "left_with"]
)
def test_pronouns_and_participles_say_nothing_alone(name):
    assert words.needs_its_sentence(name)


@pytest.mark.parametrize(
    "name",
    ["hidden", "shared_rows", "seed", "one_layer", "is_closed", "before", "i", "other", "run"],
)
def test_nouns_fields_words_and_questions_are_names(name):
    assert not words.needs_its_sentence(name)


def test_an_import_past_a_door_is_one_from_a_module_of_another_room(files):
    imports = source.imports_between_rooms(files, "toy")
    # A file of the package itself is a room without a door of its own; one's own room is free.
    assert sorted(imports) == [
        ("toy.alpha.area", False),
        ("toy.alpha.area", False),
        ("toy.alpha.shapes.Shape", True),
        ("toy.alpha.shapes.area", True),
        ("toy.beta.scale", False),
        ("toy.beta.scale", False),
    ]


def test_a_package_beside_it_is_a_room_of_its_own(files, tmp_path):
    recipes = tmp_path / "toy_recipes"
    recipes.mkdir()
    (recipes / "cake.py").write_text("from toy.alpha.shapes import area\n")
    every = [*files, *source.files_of(recipes)]
    before = source.imports_between_rooms(files, "toy")
    added = source.imports_between_rooms(every, "toy")[len(before) :]
    assert added == [("toy.alpha.shapes.area", True)]


def test_hops_are_the_files_and_functions_that_a_call_enters(tmp_path, monkeypatch):
    package = tmp_path / "steps"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "first.py").write_text(
        "from json import dumps\nfrom steps.second import inner, twice\n\n\n"
        "def start():\n    return dumps([inner(x) for x in (1, 2)]), twice(lambda: 1)\n\n\n"
        "def never():\n    return 0\n"
    )
    (package / "second.py").write_text(
        "def inner(x):\n    return x\n\n\ndef twice(call):\n    return call(), call()\n"
    )
    (package / "third.py").write_text("unused = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from steps.first import start

    # start, inner and twice: neither the lambda, nor the comprehension, nor what json does.
    assert hops.hops(start, package) == hops.Hops(files=2, functions=3)


def test_a_call_that_fails_leaves_no_profiler_behind(tmp_path):
    import sys

    before = sys.getprofile()
    with pytest.raises(ZeroDivisionError):
        hops.hops(lambda: 1 / 0, tmp_path)
    assert sys.getprofile() is before


def test_every_call_that_has_a_limit_is_traced():
    package = Path(readability.dropsmith.__file__).resolve().parent
    figures = {figure.name: figure for figure in readability.hop_figures(package)}
    for call, (files, functions) in readability.HOP_LIMITS.items():
        assert figures[f"{call}: files"].most == files
        assert figures[f"{call}: functions"].most == functions
        assert 0 < figures[f"{call}: files"].value <= figures[f"{call}: functions"].value


def test_a_figure_keeps_its_limits_at_both_ends():
    figure = readability.Figure(name="lines", value=120, least=110, most=160)
    assert figure.within
    assert not readability.Figure(name="lines", value=109, least=110, most=160).within
    assert not readability.Figure(name="lines", value=161, least=110, most=160).within
    assert readability.Figure(name="lines", value=1e9).within


def test_figures_are_written_and_shown_beside_those_of_an_earlier_run(
    files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(readability, "traced", lambda package: {"audit": hops.Hops(11, 12)})
    monkeypatch.setattr(readability, "files_of", lambda package: files)
    tmp_path = tmp_path / "results"
    readability.main(["--out", str(tmp_path)])
    (path,) = tmp_path.glob("readability_cpu_*.json")
    values = json.loads(path.read_text())
    assert values["format"] == "dropsmith.readability"
    assert {"torch", "commit", "python"} <= set(values["environment"])
    assert "case" not in values  # which would make it a benchmark of the documents' tables
    over = {figure["name"] for figure in values["figures"] if not figure["within"]}
    assert {"audit: files", "pronouns and participles"} <= over
    assert "audit: functions" not in over
    capsys.readouterr()
    readability.main(["--smoke", "--list", "--against", str(path)])
    printed = capsys.readouterr().out
    assert "earlier" in printed
    assert "nothing written" in printed
    assert "small: toy/beta.py (1 lines)" in printed
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"format": "dropsmith.benchmark"}')
    with pytest.raises(SystemExit, match="no figures of readability"):
        readability.main(["--smoke", "--against", str(path)])
