"""Training a table of plans, and searching it: the scripts with their smallest settings."""

import json

import pytest

from compare.workers import spread_here
from dropsmith.workers import Died, Done

trained = pytest.importorskip("benchmarks._trained", reason="run from the repository's root")
samplers = pytest.importorskip("benchmarks.samplers_on_digits")
score_noise = pytest.importorskip("benchmarks.score_noise")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """A worker would first import everything anew."""

    monkeypatch.setattr(trained, "spread", spread_here)
    monkeypatch.setattr(samplers, "spread", spread_here)


SPACE = trained.space(trained.FEW)


@pytest.fixture
def lines(tmp_path):
    """A file with a made-up score for each of the sixteen points: no training is needed."""
    jobs = {tokens: trained.Job(SPACE.plan(tokens), 0, 1) for tokens in SPACE.all_tokens()}
    rows = {job.id: {"id": job.id, "score": -float(sum(tokens))} for tokens, job in jobs.items()}
    path = tmp_path / "digits.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    return path


def test_one_plan_is_trained_once_and_what_is_in_the_file_not_again(tmp_path):
    jobs = [trained.Job(SPACE.plan((0,) * len(SPACE.choices)), 0, 1)] * 2
    path, said = tmp_path / "digits.jsonl", []
    first = trained.trained(jobs, path, 1, said.append)
    again = trained.trained(jobs, path, 1, said.append)
    assert said == ["2 runs asked for, 1 to make", "2 runs asked for, 0 to make"]
    assert first == again
    (row,) = first.values()
    assert row["score"] < 0
    assert 0 < row["accuracy"] < 1


def test_half_a_line_of_a_killed_run_is_cut_off(tmp_path):
    path = tmp_path / "digits.jsonl"
    path.write_text('{"id": "a", "score": 1}\n{"id": "b", "sc')
    assert [row["id"] for row in trained.whole_lines(path)] == ["a"]
    assert path.read_text() == '{"id": "a", "score": 1}\n'


def test_the_space_of_the_comparison_has_fewer_plans_than_points():
    of = trained.space(trained.TOKENS)
    assert of.size == 1296
    assert len({of.plan(tokens) for tokens in of.all_tokens()}) == 441


@pytest.mark.slow
def test_samplers_are_compared_on_a_table_that_is_there(lines, tmp_path):
    samplers.main(["--smoke", "--processes", "1", "--work", str(tmp_path), "--out", str(tmp_path)])
    found = json.loads((tmp_path / "samplers-on-digits.json").read_text())
    assert [one["name"] for one in found["curves"]] == list(samplers.ROWS)
    assert found["points"] == 16
    assert found["plans"] == 9
    for one in found["curves"]:
        low, high = one["bands"]["0.25"], one["bands"]["0.75"]
        assert all(a <= b for a, b in zip(low, high, strict=True))
    assert found["needed"]["random"]["random"]["median"] <= 8
    assert (tmp_path / "samplers-on-digits.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_searches_that_were_killed_in_the_middle_of_a_line_go_on(lines, tmp_path):
    asked = ["--smoke", "--processes", "1", "--work", str(tmp_path), "--out", str(tmp_path)]
    samplers.main(asked)
    first = json.loads((tmp_path / "samplers-on-digits.json").read_text())["curves"]
    (path,) = tmp_path.glob("searches-*.jsonl")
    path.write_text(path.read_text()[:-9])
    for _ in range(2):
        samplers.main(asked)
        assert json.loads((tmp_path / "samplers-on-digits.json").read_text())["curves"] == first


@pytest.mark.slow
def test_searches_over_other_scores_are_made_anew(lines, tmp_path):
    asked = ["--smoke", "--processes", "1", "--work", str(tmp_path), "--out", str(tmp_path)]
    samplers.main(asked)
    lines.write_text(lines.read_text().replace('"score": -', '"score": -1'))
    samplers.main(asked)
    found = json.loads((tmp_path / "samplers-on-digits.json").read_text())
    best, worst = found["scores"]["best"], found["scores"]["worst"]
    rows = [one["bands"]["0.5"] for one in found["curves"]]
    assert all(worst <= score <= best for row in rows for score in row)


def test_a_process_that_dies_ends_the_script_with_what_it_was_doing():
    with pytest.raises(SystemExit, match="'a' died with -9"):
        list(trained.done([Died(0, -9)], ["a"], print, every=1))


def test_it_is_said_how_many_are_done_after_every_so_many():
    said = []
    events = [Done(index, index) for index in range(5)]
    assert list(trained.done(events, "abcde", said.append, every=2))[4] == ("e", 4)
    assert [line.split(",")[0] for line in said] == ["2 of 5", "4 of 5"]


def test_plans_for_the_noise_of_scores_differ():
    plans = score_noise.drawn(SPACE, 9)
    assert len(set(plans)) == 9
    assert score_noise.drawn(SPACE, 3) == plans[:3]
