"""Globs mean what a plain reading of them says, and take one step for each letter of a name."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dropsmith.plans.glob import automaton, glob_matches

# The letters of no name with a meaning of its own.
PART = st.text(alphabet="ab0", min_size=1, max_size=3)
NAME = st.lists(PART, min_size=1, max_size=4).map(".".join)
GLOB = st.lists(
    st.one_of(PART, st.sampled_from(["*", "**", "a*", "*b"])), min_size=1, max_size=4
).map(".".join)


def part_means(glob, part):
    """Whether a glob without dots means one part, letter by letter."""
    if not glob:
        return not part
    if glob[0] == "*":
        return part_means(glob[1:], part) or (bool(part) and part_means(glob, part[1:]))
    return bool(part) and part[0] == glob[0] and part_means(glob[1:], part[1:])


def parts_mean(globs, parts):
    """Whether parts of a glob mean the parts of a name; `**` is any number of parts."""
    if not globs:
        return not parts
    if globs[0] == "**":
        return any(parts_mean(globs[1:], parts[i:]) for i in range(len(parts) + 1))
    return bool(parts) and part_means(globs[0], parts[0]) and parts_mean(globs[1:], parts[1:])


@settings(deadline=None)
@given(GLOB.filter(lambda glob: "**" not in glob), NAME)
def test_one_star_stays_within_a_part(glob, name):
    assert glob_matches(glob, name) == parts_mean(glob.split("."), name.split("."))


@settings(deadline=None)
@given(st.lists(st.one_of(PART, st.just("*")), min_size=1, max_size=3), NAME)
def test_two_stars_in_front_span_any_number_of_parts_even_none(rest, name):
    want = parts_mean(["**", *rest], name.split("."))
    assert glob_matches(".".join(["**", *rest]), name) == want


@settings(deadline=None)
@given(st.lists(PART, min_size=1, max_size=2), st.lists(PART, min_size=1, max_size=2), NAME)
def test_two_stars_in_the_middle_span_parts(before, after, name):
    want = parts_mean([*before, "**", *after], name.split("."))
    assert glob_matches(".".join([*before, "**", *after]), name) == want


def as_expression(glob):
    """The regular expression of a glob by which plans were matched before."""
    text, rest = "", re.sub(r"\*\*(\.\*\*)+", "**", glob)
    if rest.startswith("**."):
        text, rest = r"(?:.*\.)?", rest[3:]
    while rest:
        literal = rest[0], re.escape(rest[0])
        for sign, pattern in ((".**.", r"\.(?:.*\.)?"), ("**", ".*"), ("*", "[^.]*"), literal):
            if rest.startswith(sign):
                text, rest = text + pattern, rest[len(sign) :]
                break
    return re.compile(text)


@pytest.mark.slow
@settings(deadline=None, max_examples=1500)
@given(st.text(alphabet="a.**b(\n", max_size=9), st.text(alphabet="aab..(\n", max_size=9))
@example("**.***.a", "a")
@example("a.**.***a", "a.a")
@example("*****", "a.b")
@example("", "")
@example("**", "a\nb")
@example("*", "a\nb")
def test_a_glob_means_what_its_regular_expression_means(glob, name):
    assert glob_matches(glob, name) == bool(as_expression(glob).fullmatch(name))


@pytest.mark.parametrize("sign", ["*", "**", "*a", "**a", "a*", ".**.*", "*.", "**.", "a.**."])
@pytest.mark.parametrize("end", ["", "b", ".b"])
def test_a_name_takes_one_step_a_letter_however_many_stars_there_are(sign, end):
    name = "a" * 2000
    places = list(automaton(sign * 2000 + end).places_in(name))
    assert len(places) <= len(name) + 1
    assert max(now.bit_length() for now in places) <= 4 * len(sign * 2000 + end) + 1


def test_thousands_of_stars_find_the_end_of_a_name_or_do_not():
    glob, name = "*a" * 2000, "a" * 2000
    assert glob_matches(glob, name)
    assert not glob_matches(glob, name + "b")
    assert glob_matches("**.a" * 50 + ".**", "a." * 60 + "a")
