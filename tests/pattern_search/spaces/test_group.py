"""Names of sites, written short and still meaning no other site."""

from hypothesis import given
from hypothesis import strategies as st

from dropsmith.pattern_search.spaces.group import Group, compact, group_from_json
from dropsmith.plans.selector import select
from dropsmith.plans.site import Site
from dropsmith.testing import check_frozen, check_json

NAMES = [
    f"{stack}.{stage}.{block}.{name}"
    for stack in ("stages", "other")
    for stage in range(2)
    for block in range(3)
    for name in ("norm1", "norm2")
] + ["norm", "stem"]
SITES = [Site(name=name, kind="output", owner=name, type="BatchNorm2d") for name in NAMES]


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_a_compact_name_means_the_sites_it_was_made_of(names: list[str]):
    made = select(compact(names, SITES))
    assert {site.name for site in SITES if made.matches(site)} == set(names)


def test_numbers_become_stars_where_nothing_else_is_meant_by_it():
    ones = [name for name in NAMES if name.startswith("stages.1")]
    assert compact(ones, SITES) == "stages.1.*.norm1 stages.1.*.norm2"
    assert compact(ones[:3], SITES) == "stages.1.0.norm1 stages.1.0.norm2 stages.1.1.norm1"
    assert compact([n for n in NAMES if "stages" in n and "1" in n[-1]], SITES) == (
        "stages.*.*.norm1"
    )


def test_a_group_is_a_frozen_value_that_comes_back():
    group = Group(name="8x8", sites="a.* b", alone="b", pairs=("a.0 a.shortcut",), side=8)
    check_frozen(group)
    check_json(group, group_from_json)
