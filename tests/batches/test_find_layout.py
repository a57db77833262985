"""Rows are found by running: views stacked there are those of passes one after the other."""

from itertools import permutations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from batches import zoo
from batches.zoo import (
    Attend,
    ClassTable,
    Detector,
    Positioned,
    Recurrent,
    assert_stacks,
    drawn,
    layout_by_running,
    seeded,
    words,
)
from dropsmith.batches import Arguments, arguments
from dropsmith.errors import ViewError
from dropsmith.noise import layout_of


def causal(size: int) -> torch.Tensor:
    return torch.full((size, size), float("-inf")).triu(1)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("time", [1, 2, 4])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_a_square_mask_has_no_rows_whatever_sizes_coincide(batch_first, batch, time, heads):
    model = seeded(Attend, 4, heads, batch_first)
    shape = (batch, time, 4) if batch_first else (time, batch, 4)
    calls = [Arguments((drawn(*shape, seed=s), causal(time)), {}) for s in (0, 1)]
    layout = layout_by_running(model, calls[0])
    if time > 1:  # one step may as well be a batch of steps
        assert layout.axes == {0: (0 if batch_first else 1,), 1: (None,)}
    assert_stacks(model, layout, *calls)


@pytest.mark.parametrize("batch", [2, 4])
def test_a_padding_mask_has_rows_where_a_square_one_beside_it_has_none(batch):
    model = seeded(Attend, 4, 2)
    padding = torch.zeros(batch, 4, dtype=torch.bool)
    padding[0, 2:] = True
    calls = [
        Arguments((drawn(batch, 4, 4, seed=s),), {"mask": causal(4) < 0, "padding": p})
        for s, p in ((0, padding), (1, padding.flip(0)))
    ]
    layout = layout_by_running(model, calls[0])
    assert layout.axes == {0: (0,), "mask": (None,), "padding": (0,)}
    assert_stacks(model, layout, *calls)


def test_a_padding_mask_beside_a_time_first_batch_has_its_rows_first():
    model = seeded(Attend, 4, 2, False)
    padding = torch.zeros(4, 4, dtype=torch.bool)
    padding[0, 2:] = True
    calls = [Arguments((drawn(4, 4, 4, seed=s),), {"padding": padding}) for s in (0, 1)]
    layout = layout_by_running(model, calls[0])
    assert layout.axes == {0: (1,), "padding": (0,)}
    assert_stacks(model, layout, *calls)


def test_a_mask_for_each_row_and_head_grows_with_the_rows():
    model = seeded(Attend, 4, 2)
    mask = causal(3).expand(2 * 2, 3, 3).contiguous()
    call = Arguments((drawn(2, 3, 4), mask), {})
    other = Arguments((drawn(2, 3, 4, seed=1), torch.zeros(4, 3, 3)), {})
    assert_stacks(model, layout_by_running(model, call), call, other)


@pytest.mark.parametrize("batch", [1, 3, 5])
@pytest.mark.parametrize("rows", [1, None])
def test_position_ids_may_be_of_one_row_or_of_every_row(batch, rows):
    model = seeded(Positioned)
    places = torch.arange(5).expand(rows or batch, 5)
    calls = [
        Arguments((), {"ids": words(batch, 5, seed=s), "position_ids": places}) for s in (0, 1)
    ]
    layout = layout_by_running(model, calls[0])
    assert layout.axes["ids"] == (0,)
    assert_stacks(model, layout, *calls)


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@pytest.mark.parametrize("classes", [1, 2, 3, 4])
def test_a_table_of_classes_has_no_rows_with_as_many_classes_too(batch, classes):
    model, table = ClassTable(), drawn(classes, 4, seed=2)
    calls = [Arguments((), {"x": drawn(batch, 4, seed=s), "table": table}) for s in (0, 1)]
    for call in calls:
        layout = layout_by_running(model, call)
        assert layout.axes == {"x": (0,), "table": (None,)}
    assert_stacks(model, layout, *calls)


@pytest.mark.parametrize("order", list(permutations(("ids", "position_ids"))))
def test_a_mapping_in_any_order_has_the_same_rows(order):
    model = seeded(Positioned)
    batch = {"ids": words(5, 5), "position_ids": torch.arange(5)[None]}
    layout = layout_by_running(model, {name: batch[name] for name in order})
    assert layout.axes == {"ids": (0,), "position_ids": (None,)}
    assert layout.rows(batch) == 5


@pytest.mark.parametrize("order", [("x", "table"), ("table", "x")])
def test_a_class_table_named_first_is_not_taken_for_the_batch(order):
    batch = {"table": drawn(3, 4, seed=2), "x": drawn(5, 4)}
    layout = layout_by_running(ClassTable(), {name: batch[name] for name in order})
    assert layout.axes == {"x": (0,), "table": (None,)}


def images(seed: int = 0) -> list[torch.Tensor]:
    return [drawn(1, size, size + 1, seed=seed + size) for size in (5, 6, 7)]


def targets(seed: int = 0) -> list[dict[str, torch.Tensor]]:
    return [{"boxes": drawn(n, 4, seed=seed + n)} for n in (1, 3, 2)]


def test_lists_of_images_and_of_their_boxes_have_one_entry_a_row_in_eval_mode():
    model = seeded(Detector)
    calls = [Arguments((images(s), targets(s)), {}) for s in (0, 30)]
    layout = layout_by_running(model, calls[0])
    assert layout.lists
    assert layout.argument_rows(calls[0]) == 3
    assert_stacks(model, layout, *calls)
    _, others = layout.take_arguments(calls[0], [2, 0]).args
    assert [len(target["boxes"]) for target in others] == [2, 1]


def test_losses_of_a_detector_alone_have_no_rows_so_views_are_not_stacked():
    layout = layout_by_running(seeded(Detector).train(), (images(), targets()))
    assert not layout.stackable
    assert "does not grow" in layout.dependence


def test_packed_sequences_have_one_sequence_a_row():
    model = seeded(Recurrent, True)
    calls = [
        Arguments((pack_sequence([drawn(n, 3, seed=s + n) for n in sizes], False),), {})
        for s, sizes in ((0, (3, 1, 4)), (10, (2, 5)))
    ]
    layout = layout_by_running(model, calls[0])
    assert layout.argument_rows(calls[0]) == 3
    assert_stacks(model, layout, *calls)


def test_packed_pictures_grow_with_the_rows_by_other_numbers():
    model = seeded(zoo.PackedPictures)
    grids = torch.tensor([[1, 2, 2], [1, 1, 3]]), torch.tensor([[1, 1, 2], [1, 3, 3]])
    calls = [
        Arguments((), {"patches": drawn(int(g.prod(-1).sum()), 3), "image_grid_thw": g})
        for g in grids
    ]
    layout = layout_by_running(model, calls[0])
    assert not layout.divisible
    assert layout.row_source[0] == "image_grid_thw"
    assert_stacks(model, layout, *calls)
    with pytest.raises(ViewError, match="cannot be taken one by one"):
        layout.leading(calls[0].kwargs, 1)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(("batch", "time"), [(3, 2), (2, 2), (1, 4), (4, 1), (1, 1), (3, 3)])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_state_that_is_given_has_its_rows_second_in_either_layout(
    batch_first, batch, time, layers
):
    model = seeded(Recurrent, batch_first, 3, layers)
    shape = (batch, time, 3) if batch_first else (time, batch, 3)

    def call(seed):
        state = drawn(layers, batch, 3, seed=seed + 1), drawn(layers, batch, 3, seed=seed + 2)
        return Arguments((drawn(*shape, seed=seed), state), {})

    layout = layout_by_running(model, call(0))
    assert layout.axes == {0: (0 if batch_first else 1,), 1: (1, 1)}
    assert_stacks(model, layout, call(0), call(5))


def test_a_time_first_batch_of_words_is_stacked_along_its_second_axis():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.gru = nn.Embedding(9, 3), nn.GRU(3, 4)

        def forward(self, ids):
            return self.gru(self.words(ids))[0]

    model = seeded(Words)
    calls = [Arguments((words(5, 3, seed=s),), {}) for s in (0, 1)]
    layout = layout_by_running(model, calls[0])
    assert layout.axes == {0: (1,)}
    assert_stacks(model, layout, *calls)


class ByRow(nn.Module):
    """A batch of rows that are tensors of several lengths, whatever holds them."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_have_one_tensor_a_row(layout):
    model = seeded(ByRow)
    calls = [
        Arguments(
            (torch.nested.nested_tensor([drawn(n, 3, seed=s + n) for n in ns], layout=layout),), {}
        )
        for s, ns in ((0, (2, 4, 1)), (9, (3, 1)))
    ]
    found = layout_by_running(model, calls[0])
    assert found.argument_rows(calls[0]) == 3
    assert_stacks(model, found, *calls)


@pytest.mark.parametrize("rows", [1, 3])
def test_sparse_rows_are_rows(rows):
    model = seeded(ByRow)
    calls = [Arguments((drawn(rows, 3, seed=s).relu().to_sparse(),), {}) for s in (0, 1)]

    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = model.layer

        def forward(self, x):
            return torch.sparse.mm(x, self.layer.weight.T) + self.layer.bias

    assert_stacks(Sparse(), layout_by_running(Sparse(), calls[0]), *calls)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize(
    "build", [zoo.SetModel, zoo.AcrossBatch, lambda: nn.BatchNorm1d(4).train()]
)
def test_rows_that_look_at_each_other_are_found(rows, build):
    if rows == 1 and build is not zoo.AcrossBatch and build is not zoo.SetModel:
        pytest.skip("BatchNorm does not train on one row")
    layout = layout_by_running(build(), drawn(rows, 4))
    assert not layout.stackable
    assert "influence each other's" in layout.dependence


@pytest.mark.parametrize("rows", [1, 4])
def test_scores_of_rows_beside_rows_are_found(rows):
    layout = layout_by_running(zoo.Contrastive(), drawn(rows, 4))
    assert not layout.stackable


@pytest.mark.parametrize("nodes", [2, 3, 6])
def test_nodes_of_a_graph_are_found(nodes):
    ring = torch.arange(nodes)
    edges = torch.stack([ring, ring.roll(1)])
    assert not layout_by_running(seeded(zoo.Graph), (drawn(nodes, 3), edges)).stackable


@pytest.mark.parametrize("rows", [1, 3])
def test_normalisation_over_the_batch_is_found_behind_words_too(rows):
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.norm = nn.Embedding(9, 3), nn.BatchNorm1d(3)

        def forward(self, ids):
            return self.norm(self.words(ids).transpose(1, 2))

    layout = layout_by_running(seeded(Words).train(), words(rows, 4))
    assert not layout.stackable


def test_a_loss_over_pairs_of_rows_beside_rows_is_found():
    class InBatch(nn.Module):
        def forward(self, x):
            scores = x @ x.flip(1).T
            return {"loss": nn.functional.cross_entropy(scores, torch.arange(len(x))), "rows": x}

    assert not layout_by_running(InBatch(), drawn(4, 5)).stackable


def test_a_model_that_writes_into_its_input_is_given_copies():
    model, x = zoo.Writes(), drawn(3, 2)
    before = x.clone()
    layout = layout_by_running(model, x)
    assert layout.in_place
    assert torch.equal(x, before)
    assert_stacks(model, layout, Arguments((x,), {}), Arguments((drawn(3, 2, seed=1),), {}))
    assert torch.equal(x, before)


def test_what_has_no_rows_in_an_output_stays_whole():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return {"y": self.layer(x), "weight": self.layer.weight, "loss": x.mean(), "n": 4}

    model, x = seeded(Two), drawn(4, 4)
    layout = layout_by_running(model, x)
    both = layout.combine([Arguments((x,), {})] * 2)
    for view in layout.cut(model(*both.args), [4, 4]):
        assert view["weight"] is model.layer.weight
        assert view["n"] == 4
        torch.testing.assert_close(view["y"], model.layer(x))


def test_rows_that_are_said_are_believed_where_running_finds_others():
    model = ClassTable()
    batch = {"x": drawn(4, 4), "table": drawn(4, 4, seed=1)}
    layout = layout_by_running(model, batch, table=None)
    assert layout.axes == {"x": (0,), "table": (None,)}
    assert layout_by_running(model, batch, x=0, table=None).axes == layout.axes


def test_rows_may_be_said_to_lie_on_the_last_axis():
    class Columns(nn.Module):
        def forward(self, x, scale):
            return (x * scale[:, None, None]).permute(2, 0, 1)

    model = Columns()
    call = arguments(model, (drawn(2, 3, 4), drawn(2, seed=1)))
    layout = layout_of(model, call, {"x": 2, "scale": None})
    assert layout.axes == {0: (2,), 1: (None,)}
    assert layout.argument_rows(call) == 4
    assert_stacks(model, layout, call, Arguments((drawn(2, 3, 4, seed=5), call.args[1]), {}))


def test_a_batch_without_a_tensor_has_no_rows():
    with pytest.raises(ViewError, match=r"no tensor of the batch[\s\S]*rows="):
        layout_by_running(nn.Identity(), {"input": 3})
