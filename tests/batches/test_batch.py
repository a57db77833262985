"""How a batch is given to a model, and how its rows are counted, repeated and cut."""

from collections import UserDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from dropsmith.batches.arguments import call
from dropsmith.batches.batch import map_rows, one_more_column, one_more_row, rows_of, tensors_in
from dropsmith.errors import ViewError
from noise.zoo import mlp

X = torch.arange(6.0).view(3, 2)


class Named(nn.Module):
    def forward(self, x, scale=1.0):
        return x * scale


class Open(nn.Module):
    def forward(self, x, **rest):
        return sorted(rest)


def test_names_that_forward_does_not_take_are_left_out():
    assert torch.equal(call(Named(), {"x": X, "scale": 2.0, "labels": X}), X * 2)


def test_a_model_that_takes_any_name_gets_all():
    assert call(Open(), {"x": X, "labels": X}) == ["labels"]


def test_the_names_of_a_compiled_or_wrapped_model_are_those_inside():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *inputs, **kwargs):
            return self.module(*inputs, **kwargs)

    batch = {"x": X, "labels": X}
    assert torch.equal(call(Wrapper(Named()), batch), X)
    assert torch.equal(call(torch.compile(Named(), backend="eager"), batch), X)


def test_a_model_with_a_part_called_module_keeps_its_own_names():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = mlp()

        def forward(self, x, scale):
            return x * scale

    assert torch.equal(call(Holder(), {"x": X, "scale": 3.0}), X * 3)


@pytest.mark.parametrize(
    "batch", [X, (X, 3), [X], {"n": 5, "x": X}, UserDict(x=X), ((torch.tensor(1), X),)]
)
def test_rows_are_those_of_the_first_tensor_that_has_any(batch):
    assert rows_of(batch) == 3


def test_a_batch_without_rows_is_an_error():
    with pytest.raises(ViewError, match="no tensor with rows in the batch, a dict"):
        rows_of({"n": 5})


def test_what_has_one_entry_per_row_is_mapped_and_nothing_else():
    batch = {"x": X, "y": torch.arange(3), "scale": torch.ones(5), "n": 7, "one": torch.tensor(2.0)}
    changed = map_rows(lambda rows: rows[1:], batch)
    assert torch.equal(changed["x"], X[1:])
    assert torch.equal(changed["y"], torch.tensor([1, 2]))
    assert changed["scale"] is batch["scale"]
    assert (changed["n"], changed["one"]) == (7, batch["one"])


def test_the_rows_of_a_recurrent_state_are_in_dimension_one():
    state = torch.arange(12.0).view(2, 3, 2)
    _, (h, c) = map_rows(lambda rows: torch.cat([rows, rows]), (X, (state, state)))
    assert torch.equal(h, torch.cat([state, state], 1))
    assert torch.equal(c, h)


def test_a_tokenisers_mapping_is_mapped_like_a_dict():
    changed = map_rows(lambda rows: rows[:1], UserDict(x=X))
    assert torch.equal(changed["x"], X[:1])


def test_one_more_row_repeats_the_first():
    assert torch.equal(one_more_row((X,))[0], torch.cat([X, X[:1]]))


def test_one_more_column_is_one_more_row_of_a_batch_with_time_first():
    x, state = torch.arange(30.0).view(5, 3, 2), torch.ones(1, 3, 4)
    grown, states, lengths, other = one_more_column((x, state, torch.arange(3), torch.ones(4)))
    assert torch.equal(grown, torch.cat([x, x[:, :1]], 1))
    assert states.shape == (1, 4, 4)
    assert lengths.tolist() == [0, 1, 2, 0]
    assert other.shape == (4,)


def test_tensors_are_found_in_dataclasses_too():
    @dataclass
    class Output:
        scores: torch.Tensor
        parts: tuple
        name: str = "a"

    found = tensors_in({"a": Output(X, (X + 1, None)), "b": [X + 2]})
    assert [int(tensor[0, 0]) for tensor in found] == [0, 1, 2]
