"""Batches and arguments are counted, joined, shortened and cut along the axes of a layout."""

import pytest
import torch
from torch import Tensor
from transformers import BatchEncoding
from transformers.modeling_outputs import SequenceClassifierOutput

from batches.zoo import Moments, Pair, assert_same, drawn
from dropsmith.batches import Arguments, Layout, copy_tensors, tensors_in
from dropsmith.errors import ViewError
from noise.sequences import PACKED

X, MASK, STATE = drawn(3, 4), drawn(4, 4, seed=1), drawn(2, 3, 5, seed=2)
LAYOUT = Layout(axes={0: (0,), "mask": (None,), "state": (1, 1)}, row_source=(0, 0), outputs=0)
CALL = Arguments((X,), {"mask": MASK, "state": (STATE, -STATE)})


def test_rows_are_counted_by_one_leaf_in_arguments_and_in_a_batch():
    by_name = Layout(axes={"state": (1, 1), "x": (0,)}, row_source=("state", 1))
    assert LAYOUT.argument_rows(CALL) == 3
    assert LAYOUT.rows((X,)) == LAYOUT.rows(X) == 3
    assert by_name.rows({"x": X, "state": (STATE, STATE)}) == 3


def test_a_batch_without_the_argument_that_counts_is_an_error_that_names_it():
    with pytest.raises(ViewError, match="no argument 'state'"):
        Layout(axes={"state": (1,)}, row_source=("state", 0)).rows({"x": X})


@pytest.mark.parametrize("sizes", [(3, 3), (3, 1), (2, 3, 1)])
def test_views_are_stacked_from_the_leading_rows(sizes):
    (x,), kwargs = LAYOUT.stacked(CALL, sizes)
    assert torch.equal(x, torch.cat([X[:size] for size in sizes]))
    assert kwargs["mask"] is MASK
    hidden, cell = kwargs["state"]
    assert torch.equal(hidden, torch.cat([STATE[:, :size] for size in sizes], 1))
    assert torch.equal(cell, -hidden)


@pytest.mark.parametrize("rows", [[2, 0], slice(1, 3)])
def test_rows_are_taken_from_every_argument_that_has_them(rows):
    (x,), kwargs = LAYOUT.take_arguments(CALL, rows)
    assert torch.equal(x, X[rows])
    assert kwargs["mask"] is MASK
    assert torch.equal(kwargs["state"][1], -STATE[:, rows])


def test_leading_arguments_of_all_rows_are_the_very_same():
    assert LAYOUT.leading_arguments(CALL, 3) is CALL


@pytest.mark.parametrize("form", [dict, BatchEncoding])
def test_a_part_of_a_batch_keeps_its_form_and_shortens_other_columns(form):
    layout = Layout(axes={"x": (0,), "mask": (None,)}, row_source=("x", 0))
    columns = {"x": X, "labels": torch.arange(3), "mask": drawn(3, 3), "id": ["a", "b", "c"]}
    batch = form({**columns, "classes": drawn(5, 2)})
    part = layout.leading(batch, 2)
    assert type(part) is form
    assert [len(part[name]) for name in ("x", "labels", "mask", "id", "classes")] == [2, 2, 3, 2, 5]
    assert len(batch["x"]) == len(batch["labels"]) == 3
    assert layout.leading(batch, 3) is batch


@pytest.mark.parametrize("batch", [(X, torch.arange(3)), [X, torch.arange(3)]])
def test_a_part_of_a_batch_by_position_keeps_its_form(batch):
    x, labels = part = LAYOUT.leading(batch, 1)
    assert type(part) is type(batch)
    assert torch.equal(x, X[:1])
    assert labels.tolist() == [0]


def test_a_layout_by_position_serves_a_batch_by_name():
    layout = LAYOUT.with_names(("x",))
    assert layout.rows({"mask": MASK, "x": X}) == 3
    assert torch.equal(layout.leading({"x": X}, 2)["x"], X[:2])
    assert LAYOUT.with_names(()) is LAYOUT


def test_lists_are_shortened_where_they_hold_one_entry_a_row():
    layout = Layout(axes={0: (0,), 1: (0,)}, row_source=(0, 0), lists=True)
    images, targets = [drawn(1, 2, 2), drawn(1, 3, 3)], [{"boxes": X}, {"boxes": X[:1]}]
    part = layout.take_arguments(Arguments((images, targets), {}), [1])
    assert part.args[0][0] is images[1]
    assert part.args[1] == [targets[1]]
    both = layout.combine([Arguments((images, targets), {})] * 2)
    assert [id(image) for image in both.args[0]] == [id(image) for image in images * 2]


def test_rows_that_cannot_be_taken_alone_are_refused_with_what_to_do():
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), divisible=False)
    with pytest.raises(ViewError, match=r"cannot be taken one by one[\s\S]*batch_fraction=1"):
        layout.leading_arguments(Arguments((X,), {}), 2)
    with pytest.raises(ViewError, match="cannot be taken one by one"):
        layout.leading(X, 2)


BOTH = torch.cat([X, X + 1])
OUTPUTS = [
    (BOTH, 0, X + 1),
    (BOTH.T, 1, (X + 1).T),
    ((BOTH, MASK), (0, None), (X + 1, MASK)),
    (Pair(BOTH, BOTH.T), (0, 1), Pair(X + 1, (X + 1).T)),
    (Moments(BOTH, MASK, "m"), (0, None, None), Moments(X + 1, MASK, "m")),
    ({"a": [BOTH, MASK], "n": 3}, ((0, None), None), {"a": [X + 1, MASK], "n": 3}),
    (
        SequenceClassifierOutput(loss=MASK.mean(), logits=BOTH),
        (None, 0),
        SequenceClassifierOutput(loss=MASK.mean(), logits=X + 1),
    ),
    ((), (), ()),
]


@pytest.mark.parametrize(("output", "axes", "second"), OUTPUTS)
def test_an_output_is_cut_into_views_of_its_own_form(output, axes, second):
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), outputs=axes)
    views = layout.cut(output, [3, 3])
    assert len(views) == 2
    assert_same(views[1], second)


def test_a_list_of_results_is_cut_by_its_entries():
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), outputs=0)
    boxes = [{"boxes": drawn(n, 4)} for n in (1, 2, 3)]
    assert layout.cut(boxes, [2, 1]) == [boxes[:2], boxes[2:]]


def test_what_comes_from_below_a_trunk_goes_to_every_view():
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), outputs=(0, 0))
    first, second = layout.cut((BOTH, X), [3, 3], shared=3)
    assert first[1] is second[1] is X
    assert torch.equal(second[0], X + 1)


@pytest.mark.parametrize("output", [X, {"a": X}, (X, X, X), (drawn(5, 2), X), None])
def test_an_output_of_another_structure_is_an_error_that_says_what_to_do(output):
    layout = Layout(axes={0: (0,)}, row_source=(0, 0), outputs=(0, 0))
    with pytest.raises(ViewError, match='mode="looped"'):
        layout.cut(output, [3, 2])


def test_a_model_that_writes_into_its_input_is_given_copies_alone_then():
    writes = Layout(axes={0: (0,)}, row_source=(0, 0), in_place=True)
    assert LAYOUT.fresh(CALL) is CALL
    fresh = writes.fresh(CALL)
    assert fresh.args[0] is not X
    assert torch.equal(fresh.args[0], X)


@pytest.mark.parametrize("value", [X, (X, {"y": PACKED}), Pair(X, MASK), [PACKED]])
def test_copies_share_no_memory_with_the_caller(value):
    for tensor, copy in zip(tensors_in(value), tensors_in(copy_tensors(value)), strict=True):
        assert torch.equal(tensor, copy)
        assert tensor.data_ptr() != copy.data_ptr()


def test_a_change_of_rows_leaves_alone_what_has_none():
    def double(leaf):
        return leaf * 2 if isinstance(leaf, Tensor) else leaf

    (x,), kwargs = LAYOUT.with_rows_changed(CALL, double)
    assert torch.equal(x, X * 2)
    assert kwargs["mask"] is MASK
    assert torch.equal(kwargs["state"][0], STATE * 2)
