"""Batches that several views cannot share are refused with what to do instead."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from dropsmith.errors import ViewError
from dropsmith.passes.make_views import views
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, seeded


class Tagger(nn.Module):
    """Takes time first, all the way."""

    def __init__(self, turned=False):
        super().__init__()
        self.turned = turned
        self.drop, self.rnn = nn.Dropout(0.5), nn.GRU(4, 6)

    def forward(self, x):
        x = x.transpose(0, 1) if self.turned else x
        return self.rnn(self.drop(x))[0]


def test_a_batch_with_time_first_is_refused_when_stacked_and_works_when_looped():
    net, x = Tagger(), seeded(7, 3, 4)
    with pytest.raises(ViewError, match=r"GRU that takes \[time, batch, unit\][\s\S]*looped"):
        views(net, x)
    first, second = views(net, x, mode="looped").outputs
    assert first.shape == (7, 3, 6)
    assert not torch.equal(first, second)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_model_that_turns_its_batch_itself_is_stacked():
    first, second = views(Tagger(turned=True), seeded(3, 7, 4), mode="stacked").outputs
    assert first.shape == (7, 3, 6)
    assert not torch.equal(first, second)


def test_attention_with_time_first_is_refused_too():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = nn.MultiheadAttention(4, 2, dropout=0.5)

        def forward(self, x):
            return self.heads(x, x, x)[0]

    with pytest.raises(ViewError, match="MultiheadAttention that takes"):
        views(Attends(), seeded(7, 3, 4))


class States(nn.Module):
    def __init__(self, layers, batch_first=True):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.rnn = nn.GRU(4, 6, layers, batch_first=batch_first, bidirectional=True)

    def forward(self, x):
        return self.rnn(self.drop(x))


def test_a_state_of_as_many_layers_as_rows_cannot_be_told_from_rows():
    x = seeded(2, 5, 4)
    with pytest.raises(ViewError, match=r"sizes \(4, 4, 6\)[\s\S]*looped"):
        views(States(2), x, mode="stacked")
    (_, first), (_, second) = views(States(2), x, mode="looped").outputs
    assert first.shape == second.shape == (4, 2, 6)


def test_a_state_of_other_layers_is_cut_along_its_rows():
    (_, first), (_, second) = views(States(3), seeded(2, 5, 4), mode="stacked").outputs
    assert first.shape == second.shape == (6, 2, 6)


def test_a_sequence_as_long_as_the_stack_is_no_state():
    # 4 rows twice over sequences of 8: [8, 8, units], and no recurrent state of 8 layers.
    (first, _), _ = views(States(1), seeded(4, 8, 4), mode="stacked").outputs
    assert first.shape == (4, 8, 12)


def test_packed_sequences_are_let_through():
    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(4, 6)

        def forward(self, x):
            lengths = torch.full((x.shape[0],), x.shape[1])
            return self.rnn(pack_padded_sequence(x.transpose(0, 1), lengths))[1]

    net = Packs()
    Plan(rule("root.input", FLIPS)).install(net)
    first, second = views(net, seeded(3, 5, 4), mode="stacked").outputs
    assert first.shape == (1, 3, 6)
    assert not torch.equal(first, second)
