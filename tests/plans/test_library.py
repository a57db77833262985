"""A plan comes from a file, from a name or from the Hub, and reading it runs no code."""

import json

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from dropsmith.errors import DataError, PlanError
from dropsmith.patterns import Bernoulli
from dropsmith.plans import library
from dropsmith.plans.library import learned_plans, records_of
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record

PLAN = Plan(rule("head.input", Bernoulli(rate=0.25)))


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A folder of learned plans with one in it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    PLAN.save(folder / "small.json")
    record = Record(config={"plan": PLAN.to_json(), "seed": 0}, scores={"test_nll": 0.5})
    (folder / "small.records.json").write_text(json.dumps([record.to_json()]))
    (folder / "README.md").write_text("words")
    monkeypatch.setattr(library, "_folder", lambda: folder)
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The Hub's client, which keeps what it was asked for and hands out one file."""
    PLAN.save(tmp_path / "fetched.json")
    asked = []

    def download(repo, path, *, revision=None):
        asked.append((repo, path, revision))
        return str(tmp_path / "fetched.json")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


def test_a_name_brings_the_plan_that_was_learned_under_it(shelf):
    assert learned_plans() == ("small",)
    assert Plan.load("small") == PLAN
    (record,) = records_of("small")
    assert Plan.from_json(record.config["plan"]) == PLAN


def test_a_file_of_that_name_goes_first(shelf, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    own = Plan(rule("mine", Bernoulli(rate=0.5)))
    own.save("small")
    assert Plan.load("small") == own


def test_an_unknown_name_lists_those_that_there_are(shelf):
    with pytest.raises(PlanError, match=r"'smal'[\s\S]*plans that do: small[\s\S]*mean 'small'"):
        Plan.load("smal")
    with pytest.raises(PlanError, match="no plan of that name"):
        records_of("other")


@pytest.mark.parametrize("name", learned_plans())
def test_every_learned_plan_is_the_one_its_records_were_trained_with(name):
    plan, records = Plan.load(name), records_of(name)
    assert plan.rules
    assert [Plan.from_json(one.config["plan"]) for one in records] == [plan] * len(records)
    assert all(one.status == "finished" and "data_sha256" in one.environment for one in records)
    assert len({one.config["seed"] for one in records}) == len(records) >= 3


def test_a_path_that_is_not_there_is_not_taken_for_a_name(shelf, tmp_path):
    for path in (tmp_path / "small", str(tmp_path / "small"), "small.json"):
        with pytest.raises(PlanError, match=r"cannot read a plan from .*small"):
            Plan.load(path)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("hf://user/repo/plan.json", ("user/repo", "plan.json", None)),
        ("hf://user/repo@v1/plans/a.json", ("user/repo", "plans/a.json", "v1")),
    ],
)
def test_an_address_on_the_hub_is_fetched_from_there(hub, address, asked):
    assert Plan.load(address) == PLAN
    assert hub == [asked]


@pytest.mark.parametrize("address", ["hf://plan.json", "hf://user/repo", "hf://user/repo@v1"])
def test_an_address_without_a_user_a_repository_or_a_file_is_refused(hub, address):
    with pytest.raises(PlanError, match=r"hf://USER/REPO/plan\.json"):
        Plan.load(address)
    assert hub == []


def test_without_a_network_it_says_to_give_a_file(monkeypatch):
    def download(repo, path, *, revision=None):
        raise LocalEntryNotFoundError("cannot reach it\nand much more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(DataError) as caught:
        Plan.load("hf://user/repo/plan.json")
    assert "LocalEntryNotFoundError: cannot reach it\n" in str(caught.value)
    assert "give a file instead" in str(caught.value)
    assert "much more" not in str(caught.value)


def test_a_fetched_file_that_names_anything_but_a_pattern_is_refused(hub, tmp_path):
    rules = '[{"sites": "a", "pattern": "os.system", "rate": 0.1}]'
    text = f'{{"format": "dropsmith.plan", "version": 1, "rules": {rules}}}'
    (tmp_path / "fetched.json").write_text(text)
    with pytest.raises(PlanError, match=r"hf://user/repo/plan\.json\n .*'os\.system'"):
        Plan.load("hf://user/repo/plan.json")
