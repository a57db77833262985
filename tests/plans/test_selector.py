"""Selectors mean what their parts say, and their globs what a plain reading of them says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.errors import PlanError
from dropsmith.plans.selector import Selector, select, selector_from_json
from dropsmith.plans.site import Site

# The letters of no name with a meaning of its own.
PART = st.text(alphabet="ab0", min_size=1, max_size=3)
NAME = st.lists(PART, min_size=1, max_size=4).map(".".join)
GLOB = st.lists(
    st.one_of(PART, st.sampled_from(["*", "**", "a*", "*b"])), min_size=1, max_size=4
).map(".".join)


def site(name, kind="output", type="Linear"):
    return Site(name=name, kind=kind, owner=name, type=type)


@settings(deadline=None)
@given(NAME)
def test_a_name_means_itself(name):
    assert select(name).matches(site(name))


@settings(deadline=None)
@given(NAME, NAME)
def test_a_name_without_stars_means_nothing_else(name, other):
    assert select(name).matches(site(other)) == (name == other)


@pytest.mark.parametrize("glob", ["a.**.**.b", "**.**.b"])
def test_two_stars_twice_are_two_stars_once(glob):
    assert select(glob).matches(site("a.b"))
    assert select(glob).matches(site("a.0.1.b"))


def test_two_stars_at_the_end_mean_all_that_is_below():
    below = select("a.**")
    assert below.matches(site("a.b"))
    assert below.matches(site("a.b.0"))
    assert not below.matches(site("a"))
    assert not below.matches(site("ab"))


def test_two_stars_alone_mean_everything_but_inputs():
    assert select().matches(site("a.b.0"))
    assert not select().matches(site("a.b.0.input", kind="input"))


def test_several_names_mean_the_sites_of_each_by_its_own_letters():
    several = select("a.* b.input")
    meant = [site("a.x"), site("b.input", kind="input")]
    others = [site("b"), site("a.x.input", kind="input"), site("a.x b.input")]
    assert all(several.matches(one) for one in meant)
    assert not any(several.matches(one) for one in others)


def test_an_input_is_meant_only_by_a_name_that_ends_so():
    entrance = site("a.0.input", kind="input")
    assert select("a.*.input").matches(entrance)
    assert not select("a.**").matches(entrance)


def test_what_the_whole_model_returns_is_meant_only_by_its_name():
    whole = site("root")
    assert select("root").matches(whole)
    assert not any(select(glob).matches(whole) for glob in ("*", "**", "r*"))
    assert select("**").matches(site("root", kind="dropout"))


def test_brackets_of_calls_are_letters_like_any_other():
    assert select("**.attention()").matches(site("h.0.attention()", kind="attention"))
    assert not select("**.attention()").matches(site("h.0.attention", kind="output"))


def test_all_parts_that_are_given_must_agree():
    asked = select("a.*", type="Linear", kind="output", depth=(1, 3))
    assert asked.matches(site("a.1"))
    assert not asked.matches(site("a.1", type="Conv2d"))
    assert not asked.matches(site("a.1", kind="dropout"))
    assert not asked.matches(site("b.1"))
    assert not asked.matches(site("a.3"))


def test_depth_is_the_first_number_of_the_name():
    names = ("layer.0.mlp.5", "layer.4.mlp.0", "head", "conv2d")
    assert [select(depth=(0, 4)).matches(site(name)) for name in names] == [
        True,
        False,
        False,
        False,
    ]


def test_a_function_of_the_site_can_select():
    wide = select(where=lambda site: site.sizes[-1:] == (8,))
    assert wide.matches(Site(name="a", kind="output", owner="a", type="Linear", sizes=(2, 8)))
    assert not wide.matches(site("a"))


def test_a_function_has_no_json():
    with pytest.raises(
        PlanError, match=r"cannot be written down[\s\S]*by name, type, kind or depth"
    ):
        select("a", where=lambda site: True).to_json()


@settings(deadline=None)
@given(
    st.builds(
        Selector,
        name=GLOB,
        type=st.none() | st.sampled_from(["Linear", "LSTM"]),
        kind=st.none() | st.sampled_from(["output", "dropout"]),
        depth=st.none() | st.tuples(st.integers(0, 5), st.integers(0, 9)),
    )
)
def test_every_other_selector_comes_back_from_json_and_from_its_repr(asked):
    assert selector_from_json(asked.to_json()) == asked
    assert eval(repr(asked), {"select": select}) == asked


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (3, "not a selector: 3"),
        (None, "not a selector: None"),
        (["a"], r"not a selector: \['a'\]"),
        ({"nmae": "a"}, "field nmae is unknown\n  did you mean 'name'"),
        ({"name": 3}, "field name should be a valid string, but is 3"),
        ({"depth": [1]}, "field depth should have at least 2 items"),
        ({"depth": [0, True]}, "field depth.1 should be a valid integer, but is True"),
        ({"depth": "06"}, "field depth should be a valid list, but is '06'"),
    ],
)
def test_what_is_no_selector_is_refused_by_name(value, says):
    with pytest.raises(PlanError, match=says):
        selector_from_json(value)


@pytest.mark.parametrize(
    "parts",
    [
        {"depth": 5},
        {"depth": 1.5},
        {"depth": ()},
        {"depth": "12"},
        {"depth": (0, -1)},
        {"depth": (0.5, 2)},
        {"name": 1},
        {"type": 1},
        {"kind": b"output"},
        {"where": 1},
    ],
    ids=str,
)
def test_a_part_of_another_type_is_refused_where_it_is_given(parts):
    with pytest.raises(PlanError, match=f"{next(iter(parts))} of a selector is a"):
        select(**parts)
