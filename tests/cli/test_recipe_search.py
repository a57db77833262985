"""A recipe that begins with a search, as a person types both halves of it."""

import json
from dataclasses import replace

import pytest

from dropsmith.plans.plan import Plan
from dropsmith.record import Record
from dropsmith_recipes import RECIPES
from recipes.texts import language_folder

pytestmark = pytest.mark.slow

TEXT = "penn-treebank-xl/auto-dropout"


def test_a_search_of_a_recipe_finds_a_plan_that_its_final_training_takes(
    run, monkeypatch, tmp_path
):
    recipe, folder = RECIPES[TEXT], language_folder(tmp_path)
    budget = replace(recipe.cpu.search.budget, epochs=1)
    search = replace(recipe.cpu.search, budget=budget, limit=500, trials=2, sampler="random")
    cpu = replace(recipe.cpu, budget=budget, limit=500, search=search)
    monkeypatch.setitem(RECIPES, TEXT, replace(recipe, cpu=cpu))
    code, out, _ = run(f"search {TEXT} --data {folder} --executor serial")
    assert code == 0
    found = next(line for line in out.splitlines() if "plan.json" in line)
    where = "runs/search-penn-treebank-xl-auto-dropout/plan.json"
    assert where in found
    assert f"dropsmith train {TEXT} --plan {where}" in out
    page = (tmp_path / "runs/search-penn-treebank-xl-auto-dropout/report.html").read_text()
    assert f"<code>dropsmith search {TEXT} --data {folder}</code>" in page
    assert "proposed by random" in page  # as the recipe says
    code, out, _ = run(f"train {TEXT} --data {folder} --plan {where} --json")
    assert code == 0
    record = Record.from_json(json.loads(out))
    assert Plan.from_json(record.config["plan"]) == Plan.load(where)
    assert record.scores["test_perplexity"] > 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("search penn-treebank/awd-lstm", "has a fixed plan, and no search"),
        (f"search {TEXT} --limit 7 --model a:b", "fixes --model, --limit"),
        (f"search {TEXT} --preset papr", "did you mean 'paper'"),
        ("search digits --preset cpu", "--preset belongs to recipes"),
        (f"train {TEXT}", f"first: dropsmith search {TEXT}"),
        (f"train {TEXT} --plan missing.json", "cannot read a plan from missing.json"),
    ],
)
def test_mistakes_end_in_a_sentence(run, line, says):
    code, _, err = run(line)
    assert code == 2
    assert says in err
