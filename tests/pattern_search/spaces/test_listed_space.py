"""A space written by hand."""

from typing import Any

import pytest

from dropsmith.errors import PatternError, PlanError, SearchError
from dropsmith.pattern_search import Choice, ListedSpace, part, space_from_json
from dropsmith.patterns import Bernoulli, DropBlock
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.testing import check_frozen, check_json

KIND = Choice("convs.kind", ("none", "plain", "blocks"))
RATE = Choice("convs.rate", (0.1, 0.3))
SIZE = Choice("convs.size", (2, 3))
SPACE = ListedSpace(
    (KIND, RATE, SIZE),
    (
        part(
            rule("convs.*", Bernoulli(rate=0.1)),
            sets={"rate": "convs.rate"},
            when={"convs.kind": "plain"},
        ),
        part(
            rule("convs.*", DropBlock(rate=0.1), views="shared"),
            sets={"rate": "convs.rate", "size": "convs.size"},
            when={"convs.kind": "blocks"},
        ),
    ),
)


def test_it_is_a_frozen_value_that_comes_back():
    check_frozen(SPACE)
    check_json(SPACE, space_from_json)


def test_a_choice_sets_a_setting_and_another_switches_the_rule_on():
    assert SPACE.plan((0, 1, 1)) == Plan()
    assert SPACE.plan((1, 1, 1)) == Plan(rule("convs.*", Bernoulli(rate=0.3)))
    blocks = Plan(rule("convs.*", DropBlock(rate=0.1, size=3), views="shared"))
    assert SPACE.plan((2, 0, 1)) == blocks


def test_a_part_of_a_choice_that_does_not_exist_is_refused_with_the_likely_one():
    with pytest.raises(SearchError, match=r"'convs\.rat'\s+did you mean 'convs\.rate'"):
        ListedSpace((RATE,), (part(rule("a", Bernoulli(rate=0.1)), sets={"rate": "convs.rat"}),))


def test_a_setting_or_a_condition_that_does_not_exist_is_refused():
    plain = rule("a", Bernoulli(rate=0.1))
    with pytest.raises(SearchError, match="Bernoulli has no setting 'size'"):
        ListedSpace((SIZE,), (part(plain, sets={"size": "convs.size"}),))
    with pytest.raises(SearchError, match=r"'convs\.kind' is never 'chanel'"):
        ListedSpace((KIND,), (part(plain, when={"convs.kind": "chanel"}),))


def test_a_value_the_pattern_does_not_take_is_found_when_the_space_is_made():
    too_much = Choice("rate", (0.5, 1.5))
    with pytest.raises(PatternError, match=r"1\.5"):
        ListedSpace((too_much,), (part(rule("a", Bernoulli(rate=0.1)), sets={"rate": "rate"}),))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"format": "dropsmith.plan"}, "not a space"),
        ({"version": 9}, "this space is 9"),
        ({"space": "ListdSpace"}, "did you mean 'ListedSpace'"),
        ({"parts": [{"sets": []}]}, "field parts.0.rule is missing"),
        ({"choices": [{"name": "a"}]}, "field choices.0.values is missing"),
    ],
)
def test_json_that_is_no_space_is_refused(changed: dict[str, Any], says: str):
    with pytest.raises((SearchError, PlanError), match=says):
        space_from_json(SPACE.to_json() | changed)
    with pytest.raises(SearchError, match="not a space"):
        space_from_json([])
