"""Choices and spaces: what tokens mean, and that nothing else is taken for them."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import SearchError
from dropsmith.pattern_search import Choice, Space, Tokens
from dropsmith.pattern_search.spaces.space import check_choices, choice_from_json
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.testing import check_frozen, check_json, check_repr


@dataclass(frozen=True)
class Rates(Space):
    """A space whose plans have one rule for each choice."""

    choices: tuple[Choice, ...]

    def plan(self, tokens: Tokens) -> Plan:
        return Plan(*(rule(n, Bernoulli(rate=v)) for n, v in self.describe(tokens).items()))

    def settings(self) -> dict[str, Any]:
        return {}


SPACE = Rates((Choice("a", (0.1, 0.2)), Choice("b", (0.0, 0.5, 0.9)), Choice("c", (0.3,))))


def test_a_choice_is_a_value_that_comes_back():
    choice = Choice("stage1.share", (True, False, 1, 0, "both", 0.5))
    check_frozen(choice)
    check_json(choice, choice_from_json)
    check_repr(choice, {"Choice": Choice})


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("a", (), "tuple of values"),
        ("a", [1, 2], "tuple of values"),
        ("", (1,), "called by a name"),
        ("a", (1, 2, 1), "twice"),
        ("a", ((1,),), "no number, text or bool"),
    ],
)
def test_a_choice_of_nothing_or_of_no_values_is_refused(name: Any, values: Any, says: str):
    with pytest.raises(SearchError, match=says):
        Choice(name, values)


def test_every_way_of_choosing_is_listed_once():
    every = list(SPACE.all_tokens())
    assert len(every) == len(set(every)) == SPACE.size == 6
    assert every[0] == (0, 0, 0)
    assert every[1] == (0, 1, 0)


@given(st.sampled_from(list(SPACE.all_tokens())))
def test_tokens_and_what_they_describe_are_the_same(tokens: Tokens):
    assert SPACE.tokens(SPACE.describe(tokens)) == tokens


def test_true_and_one_are_different_values():
    space = Rates((Choice("a", (True, 1)),))
    assert space.tokens({"a": 1}) == (1,)
    assert space.tokens({"a": True}) == (0,)


@pytest.mark.parametrize("tokens", [(0, 0), (0, 0, 1), (0, 3, 0), (-1, 0, 0), (0.0, 0, 0)])
def test_tokens_of_another_space_are_refused(tokens: Any):
    with pytest.raises(SearchError, match=r"token|no value"):
        SPACE.describe(tokens)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"a": 0.1, "b": 0.5}, "nothing is chosen for 'c'"),
        ({"a": 0.1, "b": 0.4, "c": 0.3}, "'b' cannot be 0.4"),
        ({"a": 0.1, "b": 0.5, "c": 0.3, "d": 1}, "no choice is called 'd'"),
    ],
)
def test_values_the_space_does_not_have_are_refused(chosen: Any, says: str):
    with pytest.raises(SearchError, match=says):
        SPACE.tokens(chosen)


def test_two_choices_of_one_name_and_no_choice_at_all_are_refused():
    with pytest.raises(SearchError, match="several choices are called 'a'"):
        check_choices((Choice("a", (1,)), Choice("a", (2,))))
    with pytest.raises(SearchError, match="one choice or more"):
        check_choices(())


def test_the_version_changes_with_anything_in_the_space_and_with_nothing_else():
    again = Rates(tuple(choice_from_json(one.to_json()) for one in SPACE.choices))
    assert again.version == SPACE.version
    others = [SPACE.choices[::-1], SPACE.choices[:2], (*SPACE.choices[:2], Choice("c", (0.4,)))]
    assert len({SPACE.version, *(Rates(own).version for own in others)}) == 4


def test_its_json_is_json():
    assert json.loads(json.dumps(SPACE.to_json())) == SPACE.to_json()
