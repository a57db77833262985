"""Numbers are read as they are written, with a point or a comma, and never with thousands."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dropsmith.tasks.data.number_forms import NumberForms, form_of, number_in, number_text


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e22)
@example(-0.0)
def test_a_number_is_the_same_with_a_point_and_with_a_comma(value):
    text = repr(value)
    assert number_in(text) == value
    assert number_in(text.replace(".", ","), ",") == value
    if "." in text:
        assert number_in(text, ",") is None
        assert number_in(text.replace(".", ",")) is None


@given(st.text(alphabet="0123456789.,eE+- '"))
def test_what_is_read_is_what_python_reads_of_it(text):
    for decimal in (".", ","):
        value = number_in(text, decimal)
        if value is not None:
            plain = text.replace(",", ".") if decimal == "," else text
            assert value == float(plain)
            assert math.isfinite(value)


@given(st.integers(-(10**12), 10**12), st.sampled_from(",.' \u00a0\u202f\u2019"), st.booleans())
def test_thousands_are_never_read_as_decimals(value, sign, decimals):
    text = f"{value:,}".replace(",", sign)
    if sign in ",." and decimals:
        text += ("." if sign == "," else ",") + "25"
    if sign in text and (abs(value) >= 10**6 or sign not in ",." or decimals):
        assert form_of(text) == "grouped"
        assert number_in(text) is None
        assert number_in(text, ",") is None


@pytest.mark.parametrize("cell", [True, None, "", "one", "1.2.3", "1,2,3", "0x1f", "1_000", "inf"])
def test_what_is_no_number_has_no_form(cell):
    assert form_of(cell) is None
    assert number_text(cell) is None


def test_a_column_knows_its_forms_and_where_they_are_first_seen():
    forms = NumberForms()
    for line, cell in enumerate(("3", 4.5, "1,234", "0,500", "x", "1.5", "y"), start=2):
        forms.add(cell, line)
    assert forms.counts == {"whole": 2, "comma": 2, "point": 1}
    assert forms.decided == {"comma": 1, "point": 1}
    assert forms.first == {"whole": (2, "3"), "comma": (4, "1,234"), "point": (7, "1.5")}
    assert forms.stranger == (6, "x")
    assert (forms.count("."), forms.count(","), forms.total) == (3, 4, 5)
