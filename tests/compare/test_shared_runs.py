"""Runs that two comparisons have in common are not made twice."""

from dataclasses import replace

import pytest

from compare.synthetic import TASK, design
from dropsmith.compare import compare, share_runs

MADE = design(
    ("dropout", "two-sample"),
    budget=replace(TASK.budget, epochs=1, batch_size=30),
    limit=60,
    trials=1,
    seeds=2,
)


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules") / "views"
    return folder, compare(MADE, folder, processes=1)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_runs_of_one_view_are_put_there_with_their_models(views, tmp_path):
    folder, comparison = views
    assert share_runs(comparison, folder, tmp_path) == 2
    for run in comparison.rows[0].records:
        assert (tmp_path / f"{run.id}.json").read_bytes() == (
            folder / f"{run.id}.json"
        ).read_bytes()
        assert files(tmp_path / run.id) == files(folder / run.id)
    for run in comparison.rows[1].records:
        assert not (tmp_path / run.id).exists()


def test_the_comparison_under_the_other_rule_finds_them(views, tmp_path):
    folder, comparison = views
    share_runs(comparison, folder, tmp_path)
    trained = []

    def watch(progress, total, record, terms):
        trained.extend([] if record is None else [record.config["method"]])

    other = compare(replace(MADE, equal="updates"), tmp_path, processes=1, watch=watch)
    assert trained == ["two-sample"] * 2
    assert other.rows[0] == comparison.rows[0]
    assert other.rows[1] != comparison.rows[1]


def test_a_second_time_nothing_is_left_to_share(views, tmp_path):
    folder, comparison = views
    share_runs(comparison, folder, tmp_path)
    before = files(tmp_path)
    assert share_runs(comparison, folder, tmp_path) == 0
    assert files(tmp_path) == before


def test_where_files_cannot_be_linked_they_are_copied(views, tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError("another disk")

    monkeypatch.setattr("os.link", refuse)
    folder, comparison = views
    share_runs(comparison, folder, tmp_path)
    run = comparison.rows[0].records[0]
    assert files(tmp_path / run.id) == files(folder / run.id)
