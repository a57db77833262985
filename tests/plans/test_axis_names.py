"""What a module's type says about its axes, and what two runs say besides."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dropsmith.axes import UNKNOWN
from dropsmith.plans.axis_names import confirm_names, names_of


class OwnAxes(nn.Identity):
    output_axes = ("batch", "channel", "height", "width")


SEQUENCE = ("batch", "time", "unit")


@pytest.mark.parametrize(
    ("module", "kind", "ndim", "names"),
    [
        (nn.Linear(2, 2), "output", 1, "batch"),
        (nn.Linear(2, 2), "output", 2, "batch unit"),
        (nn.Linear(2, 2), "output", 3, "batch time unit"),
        (nn.LayerNorm(2), "output", 4, "batch height width unit"),
        (nn.Conv1d(1, 1, 1), "output", 3, "batch channel time"),
        (nn.BatchNorm2d(2), "output", 4, "batch channel height width"),
        (nn.AdaptiveAvgPool3d(1), "output", 5, "batch channel time height width"),
        (nn.Dropout2d(), "dropout", 4, "batch channel height width"),
        (nn.BatchNorm1d(2), "output", 2, "batch unit"),
        (nn.LSTM(2, 2), "output", 3, "time batch unit"),
        (nn.LSTM(2, 2, batch_first=True), "output", 3, "batch time unit"),
        (nn.GRU(2, 2, 2), "between", 3, "time batch unit"),
        (nn.MultiheadAttention(2, 1), "output", 3, "time batch unit"),
        (nn.MultiheadAttention(2, 1), "attention", 4, "batch head time time"),
        (nn.MultiheadAttention(2, 1), "attention", 3, "batch time time"),
        (nn.Module(), "functional", 4, "batch ? ? ?"),
        (nn.ReLU(), "output", 4, "batch ? ? ?"),
        (nn.ReLU(), "output", 3, "batch time unit"),
        (OwnAxes(), "output", 4, "batch channel height width"),
        (OwnAxes(), "output", 3, "batch time unit"),
        (OwnAxes(), "input", 4, "batch ? ? ?"),
    ],
)
def test_names_by_type(module, kind, ndim, names):
    assert names_of(module, kind, ndim) == tuple(names.split())


@settings(deadline=None)
@given(st.permutations(SEQUENCE), st.integers(0, 2))
def test_what_grew_is_the_batch_and_the_others_keep_their_order(names, grew):
    few = (5, 6, 7)
    more = tuple(size + (dim == grew) for dim, size in enumerate(few))
    found = confirm_names(tuple(names), few, more)
    assert found[grew] == "batch"
    assert [name for name in found if name != "batch"] == [n for n in names if n != "batch"]


def test_where_nothing_or_several_grew_there_is_no_known_batch():
    assert confirm_names(SEQUENCE, (5, 6, 7), (5, 6, 7)) == (UNKNOWN, "time", "unit")
    assert confirm_names(SEQUENCE, (5, 6, 7), (6, 7, 7)) == (UNKNOWN, "time", "unit")


def test_a_tensor_that_changes_its_rank_is_unknown():
    assert confirm_names(SEQUENCE, (5, 6, 7), (5, 6)) == (UNKNOWN,) * 3
