import pytest

from dropsmith.cli._data_options import bounds_of
from dropsmith.cli._values import budget_of
from dropsmith.errors import TaskError
from dropsmith.tasks import TASKS, USUAL, Bounds


def test_bounds_are_named_one_by_one():
    assert bounds_of(None) is not None
    assert bounds_of([]) == USUAL
    assert bounds_of(["rows=5", " bytes = 70"]) == Bounds(rows=5, bytes=70)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row=5", r"'row=5' sets no bound[\s\S]*rows=1000[\s\S]*'rows'"),
        ("rows", "a whole number, such as rows=1000, got 'rows'"),
        ("rows=", "a whole number"),
        ("rows=-5", "a whole number"),
        ("rows=1e9", "a whole number"),
        ("rows=" + "9" * 5000, "a whole number"),
        ("rows=" + "9" * 19, "the bound rows must be"),
        ("rows=0", "the bound rows must be"),
        ("", "no bound"),
    ],
)
def test_a_bound_that_cannot_be_is_one_sentence(text, message):
    with pytest.raises(TaskError, match=message) as raised:
        bounds_of([text])
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("name", ["0", "-1", "1.5", "\u00b2", "\u0661", "9" * 5000, "nan", ""])
def test_a_number_of_epochs_that_cannot_be_is_one_sentence(name):
    with pytest.raises(TaskError, match=r"tiny, quick, full or a number") as raised:
        budget_of(TASKS["digits"], name, None, None)
    assert len(str(raised.value)) < 200
