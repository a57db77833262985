"""Runs of several kinds, written once."""

import pytest

from run_folder.finished import finished_run, write_texts


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """A finished run on texts in three classes, its folder, and the table that it is of."""
    place = tmp_path_factory.mktemp("texts")
    table = write_texts(place / "texts.csv")
    run, _ = finished_run(str(table))
    run.write(place / "run")
    return run, place / "run", table


@pytest.fixture(scope="session")
def values(tmp_path_factory):
    """The same of pairs of texts with a value each."""
    place = tmp_path_factory.mktemp("values")
    table = write_texts(place / "pairs.csv", pairs=True, values=True)
    run, _ = finished_run("stsb", data=table)
    run.write(place / "run")
    return run, place / "run", table


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The same of digits, which are tensors and no files."""
    place = tmp_path_factory.mktemp("digits")
    run, _ = finished_run("digits")
    run.write(place / "run")
    return run, place / "run"
