"""Recipes on the command line: listed with what was published, run by name."""

import json
import re
from pathlib import Path

import pytest

from dropsmith.record import Record
from dropsmith_recipes import RECIPES
from dropsmith_recipes.table import row
from recipes.texts import language_folder

MEDIUM = "penn-treebank/variational-lstm-medium"


@pytest.fixture
def columns():
    return 170


def row_of(out, name):
    return next(line.split() for line in out.splitlines() if line.split()[:1] == [name])


def test_every_recipe_is_listed_with_its_published_numbers_and_not_run(run):
    code, out, _ = run("recipes")
    assert code == 0
    for name in RECIPES:
        assert row_of(out, name)[-2:] == ["not", "run"]
    assert row_of(out, MEDIUM)[1:6] == ["perplexity", "81.9", "79.7", "78.6", "quoted"]
    assert row_of(out, "cnn-dailymail/bart-large")[6:11] == ["44.16", "/", "21.28", "/", "40.90"]


@pytest.fixture
def terminal(monkeypatch):
    """The output is taken for a terminal."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


@pytest.mark.parametrize("columns", [80])
def test_a_terminal_of_80_columns_shows_every_number_and_name_whole(run, columns, terminal):
    _, out, _ = run("recipes")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in out
    # What stands in the first column, its folds put together again.
    end = next(one.index("score") for one in lines if "score" in one)
    names = "".join(one[:end].strip() for one in lines if not one.startswith("As published"))
    words = " ".join(lines).split()
    for recipe in RECIPES.values():
        cells = row(recipe, Path("nowhere"))
        assert cells[0] in names
        assert set(" ".join(cells[1:6]).split()) <= set(words)
    assert "86.2" in words


@pytest.mark.parametrize("columns", [40])
def test_what_is_piped_has_a_line_for_each_recipe_however_narrow_the_terminal(run):
    _, out, _ = run("recipes")
    assert row_of(out, "cnn-dailymail/bart-large")[6:11] == ["44.16", "/", "21.28", "/", "40.90"]
    assert max(len(one.rstrip()) for one in out.splitlines()) < 200


def test_a_recipe_with_records_shows_the_mean_over_their_seeds(run):
    recipe = RECIPES[MEDIUM]
    for seed, perplexity in ((0, 80.0), (1, 82.0)):
        setup = recipe.setup("paper", seed=seed, data=f"/somewhere/{seed}")
        scores = {"test_perplexity": perplexity}
        Record(config=setup.to_json(), scores=scores).save(Path("runs/penn-treebank"))
    failed = recipe.setup("cpu").to_json()
    Record(config=failed, status="stopped: no").save(Path("runs/penn-treebank"))
    (Path("runs/penn-treebank") / "comparison.json").write_text("{}")
    _, out, _ = run("recipes")
    assert row_of(out, MEDIUM)[-6:] == ["paper", "81.0", "±", "1.4,", "2", "seeds"]
    assert row_of(out, f"{MEDIUM}-tied")[-2:] == ["not", "run"]
    _, out, _ = run("recipes --json")
    (line,) = (one for one in json.loads(out) if one["recipe"] == MEDIUM)
    assert [one["seed"] for one in line["runs"]["paper"]] == [0, 1]
    assert line["runs"]["cpu"] == []


def test_a_recipe_is_trained_by_its_name_and_then_listed_as_run(run, tmp_path):
    data = tmp_path / "texts"
    data.mkdir()
    language_folder(data)
    recipe = "penn-treebank/pi-lstm"
    code, out, _ = run(f"train {recipe} --data {data} --limit 50 --json")
    assert code == 0
    record = json.loads(out)
    assert record["config"]["method"] == "pi-lstm"
    assert (Path("runs/penn-treebank") / f"{record['id']}.json").exists()
    _, out, _ = run("recipes")
    # A limit of one's own makes it another run than the preset's.
    assert row_of(out, recipe)[-2:] == ["not", "run"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("penn-treebank/variational-lstm-mediun", f"did you mean '{MEDIUM}'"),
        (f"{MEDIUM} --preset papr", "did you mean 'paper'"),
        (f"{MEDIUM} --with r-drop --budget 3", "fixes --with, --budget"),
        (f"{MEDIUM} --set rate=0.5", "or train the task: dropsmith train penn-treebank"),
        ("digits --preset cpu", "to list the recipes: dropsmith recipes"),
    ],
)
def test_mistakes_end_in_a_sentence(run, line, says):
    code, _, err = run(f"train {line}")
    assert code == 2
    assert says in err
