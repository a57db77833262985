"""Axes pair names with sizes, and say what is there when one is asked for that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.axes import NAMES, Axes
from dropsmith.errors import AxisError

AXES = Axes.read("batch time unit", (2, 3, 4))


def test_names_and_sizes_are_read_in_order():
    assert AXES.names == ("batch", "time", "unit")
    assert AXES.sizes == (2, 3, 4)
    assert AXES.dim("time") == 1
    assert AXES.size("unit") == 4


def test_equal_axes_are_equal_values():
    assert Axes.read("batch  time unit", (2, 3, 4)) == AXES
    assert hash(Axes.read("batch time unit", (2, 3, 4))) == hash(AXES)


def test_a_tensor_without_dimensions_has_no_axes():
    assert Axes.read("", ()).collapse("") == ()


@given(st.lists(st.sampled_from(NAMES), max_size=5), st.data())
def test_sharing_collapses_the_named_axes_and_only_those(names, data):
    sizes = tuple(data.draw(st.integers(2, 9)) for _ in names)
    shared = data.draw(st.sets(st.sampled_from(names))) if names else set()
    collapsed = Axes.read(" ".join(names), sizes).collapse(" ".join(shared))
    want = tuple(1 if name in shared else size for name, size in zip(names, sizes, strict=True))
    assert collapsed == want


def test_naming_time_means_both_times_of_attention():
    attention = Axes.read("batch head time time", (2, 3, 5, 7))
    assert attention.dims("time") == (2, 3)
    assert attention.collapse("head time") == (2, 1, 1, 1)


def test_dims_come_in_the_order_of_the_tensor():
    assert AXES.dims("unit batch") == (0, 2)


def test_an_unknown_name_is_answered_with_the_likely_one():
    with pytest.raises(AxisError, match=r"(?s)called 'chanel'.*axes are: batch.*mean 'channel'\?"):
        Axes.read("batch chanel", (2, 3))


@pytest.mark.parametrize("sizes", [(2, 3), (2, 3, 4, 5)])
def test_names_that_do_not_fit_the_sizes_are_shown_beside_them(sizes):
    with pytest.raises(AxisError, match=rf"3 axis names for a tensor of {len(sizes)} dimensions"):
        Axes.read("batch time unit", sizes)


def test_a_missing_axis_is_answered_with_those_that_are_there():
    with pytest.raises(AxisError, match=r"(?s)no axis 'height'.*this site has: batch time unit"):
        AXES.collapse("height")


def test_a_misspelt_axis_is_named_with_its_likely_correction():
    with pytest.raises(AxisError, match=r"(?s)no axis 'tmie'.*batch time unit.*mean 'time'\?"):
        AXES.collapse("tmie")


def test_an_axis_that_may_hide_behind_an_unknown_one_asks_for_the_rule_to_name_it():
    axes = Axes.read("batch ? ?", (2, 3, 4))
    with pytest.raises(AxisError, match=r'(?s)which dimension is \'time\'.*rule\(.*axes="batch'):
        axes.collapse("time")
    assert axes.collapse("batch") == (1, 3, 4)


def test_a_misspelt_axis_is_a_misspelling_beside_unknown_ones_too():
    with pytest.raises(AxisError, match=r"(?s)no axis 'bacth'.*mean 'batch'\?"):
        Axes.read("batch ?", (2, 3)).dims("bacth")
