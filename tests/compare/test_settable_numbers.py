"""The numbers of methods: each has a meaning, and its usual value is among those tried."""

from dataclasses import dataclass

import pytest

from dropsmith.compare import METHODS, Method, method_numbers
from dropsmith.objectives import TaskLoss


@pytest.mark.parametrize("name", METHODS)
def test_every_number_of_a_method_is_explained_and_tried(name):
    numbers = method_numbers(METHODS[name])
    assert [number.name for number in numbers] == list(METHODS[name].settings[0])
    for number in numbers:
        assert len(number.about.split()) > 3
        assert number.usual == number.tried[0]
        assert set(number.tried) == {row[number.name] for row in METHODS[name].settings}


@dataclass(frozen=True, kw_only=True, repr=False)
class Documented(TaskLoss):
    """A loss.

    Args:
        strength: how much of it,
            over two lines.
        other: one more.
    """

    strength: float = 1.0
    other: float = 2.0
    silent: float = 3.0


def test_a_meaning_is_read_from_the_docstring_of_the_objective():
    method = Method(
        about="mine",
        source="me",
        noise=None,
        objective=Documented,
        views=1,
        settings=({"strength": 1.0, "other": 2.0, "silent": 3.0},),
    )
    assert [number.about for number in method_numbers(method)] == [
        "how much of it, over two lines",
        "one more",
        "",
    ]
