"""Every error can be caught as ours or as the built-in it specialises, and helps."""

import pickle

import pytest

from dropsmith import errors
from dropsmith.errors import DropsmithError, MissingExtra, did_you_mean

BUILT_IN = {
    "ArgumentError": TypeError,
    "ModelError": TypeError,
    "AxisError": ValueError,
    "PatternError": ValueError,
    "PlanError": ValueError,
    "SiteError": LookupError,
    "NoiseError": RuntimeError,
    "NoNoiseError": RuntimeError,
    "ViewError": RuntimeError,
    "ObjectiveError": ValueError,
    "KernelError": RuntimeError,
    "TaskError": ValueError,
    "TrackerError": ValueError,
    "DataError": ValueError,
    "TrainingError": RuntimeError,
    "CheckpointError": RuntimeError,
    "SearchError": ValueError,
    "BusyError": RuntimeError,
    "ExportError": RuntimeError,
    "MissingExtra": ImportError,
}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_an_error_is_ours_and_a_built_in(name, built_in):
    error = getattr(errors, name)
    assert issubclass(error, DropsmithError)
    assert issubclass(error, built_in)


def test_no_error_is_left_out_of_these_tests():
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DropsmithError)
    }
    assert found == {"DropsmithError", *BUILT_IN}


def test_a_missing_extra_says_what_to_install():
    error = MissingExtra("RayExecutor", "ray", "ray")
    assert str(error) == (
        'RayExecutor needs ray, which is not installed\n  pip install "dropsmith[ray]"'
    )


@pytest.mark.parametrize(
    ("word", "known", "line"),
    [
        ("Bernouli", ["Bernoulli", "Blocks"], "\n  did you mean 'Bernoulli'?"),
        ("tmie", ["batch", "time"], "\n  did you mean 'time'?"),
        ("zzz", ["batch", "time"], ""),
        ("batch", [], ""),
    ],
)
def test_only_a_close_word_is_proposed(word, known, line):
    assert did_you_mean(word, known) == line


def test_words_may_come_from_any_iterable():
    assert did_you_mean("unti", (name for name in ("unit", "head"))) == "\n  did you mean 'unit'?"


def test_a_message_is_short_however_long_what_it_repeats_is():
    error = errors.TaskError(f"no task is called {'x' * 100_000}\n  there are: digits")
    first, second = str(error).split("\n")
    assert first.startswith("no task is called xxx")
    assert len(first) < 800
    assert second == "  there are: digits"
    assert str(errors.TaskError("short")) == "short"


def test_an_error_survives_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(errors.DataError("no file a.csv")))
    assert (type(error), str(error)) == (errors.DataError, "no file a.csv")
