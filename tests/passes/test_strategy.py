"""Views are stacked where each row stands for itself, on whatever axis, and looped elsewhere."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pack_padded_sequence

from dropsmith.errors import ViewError
from dropsmith.noise.lookup import step
from dropsmith.passes.make_views import views
from dropsmith.patterns import DropConnect
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import FLIPS, WIDTH, seeded

X = seeded(4, WIDTH)


class Counts(nn.Module):
    def __init__(self, axis=0):
        super().__init__()
        self.axis, self.rows = axis, []

    def forward(self, x):
        self.rows.append(x.shape[self.axis])
        return x


def rows_of_forwards(net, batch, **how):
    """How many rows each forward of the second call has; the first also tries a few rows."""
    views(net, batch, **how)
    net[0].rows.clear()
    views(net, batch, **how)
    return net[0].rows


@pytest.mark.parametrize(
    ("plan", "how", "rows"),
    [
        (Plan(), {}, [8]),
        (Plan(rule("0", FLIPS)), {}, [8]),
        (Plan(rule("0", FLIPS)), {"n": 1}, [4]),
        (Plan(rule("0", FLIPS)), {"noise_free": (1,)}, [4, 4]),
        (Plan(rule("0", FLIPS)), {"batch_fraction": 0.5}, [4, 2]),
        (Plan(rule("1.weight", DropConnect(rate=0.1))), {}, [4, 4]),
        (Plan(rule("1.weight", DropConnect(rate=0.1))), {"batch_fraction": 0.5}, [4, 2]),
        (Plan(rule("1.weight", DropConnect(rate=0.1), views="shared")), {}, [8]),
    ],
)
def test_passes_are_stacked_where_they_can_be(plan, how, rows):
    net = nn.Sequential(Counts(), nn.Linear(WIDTH, 2))
    with plan.installed(net):
        assert rows_of_forwards(net, X, **how) == rows


class Contrast(nn.Module):
    """How alike each row is to every other, as contrastive losses compare them."""

    def forward(self, x):
        x = normalize(x, dim=-1)
        return x @ x.T


LOOKING = {
    "batch norm": lambda: nn.Sequential(Counts(), nn.Linear(WIDTH, 4), nn.BatchNorm1d(4)),
    "contrast": lambda: nn.Sequential(Counts(), nn.Linear(WIDTH, 4), Contrast()),
}


@pytest.mark.parametrize("kind", LOOKING)
def test_where_rows_look_at_each_other_views_are_looped_and_one_line_says_so(kind, capsys):
    net = LOOKING[kind]()
    Plan(rule("0", FLIPS)).install(net)
    assert rows_of_forwards(net, X) == [4, 4]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("dropsmith: views are made one after the other: ")
    step(net, 0)
    unasked = views(net, X).outputs
    step(net, 0)
    assert all(map(torch.equal, unasked, views(net, X, mode="looped").outputs))
    assert not torch.equal(*unasked)


def test_batch_norm_in_eval_mode_is_stacked_without_a_word(capsys):
    net = LOOKING["batch norm"]().eval()
    assert rows_of_forwards(net, X) == [8]
    assert not capsys.readouterr().err


def test_rows_that_look_at_each_other_may_be_stacked_on_request():
    net = nn.Sequential(Counts(), nn.BatchNorm1d(WIDTH, affine=False), nn.Dropout(0.0))
    both = torch.cat(views(net, X, mode="stacked").outputs)
    torch.testing.assert_close(both, torch.cat([net(X)] * 2))
    assert net[0].rows[-2] == 8


class TimeFirst(nn.Module):
    """Takes time first, all the way, or turns its batch itself."""

    def __init__(self, turned=False):
        super().__init__()
        self.turned = turned
        self.drop, self.rnn = nn.Dropout(0.5), nn.GRU(4, 6)

    def forward(self, x):
        x = x.transpose(0, 1) if self.turned else x
        return self.rnn(self.drop(x))[0]


def stacked_and_looped(net, batch, plan):
    plan.install(net)
    made = []
    for mode in ("stacked", "looped"):
        step(net, 0)
        made.append(views(net, batch, mode=mode).outputs)
    torch.testing.assert_close(*made)
    return made[0]


TIME_FIRST = Plan(rule("drop", FLIPS, axes="time batch unit"))


@pytest.mark.parametrize("sizes", [(7, 3, 4), (4, 4, 4), (3, 6, 4)])
def test_a_batch_with_time_first_is_stacked_along_its_own_axis(sizes):
    first, second = stacked_and_looped(TimeFirst(), seeded(*sizes), TIME_FIRST)
    assert first.shape == (*sizes[:2], 6)
    assert not torch.equal(first, second)


def test_torchs_own_noise_in_a_batch_with_time_first_is_each_views_own():
    net = nn.Sequential(Counts(axis=1), TimeFirst())
    first, second = views(net, seeded(7, 3, 4)).outputs
    assert net[0].rows[-1] == 6
    assert first.shape == (7, 3, 6)
    assert not torch.equal(first, second)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_model_that_turns_its_batch_itself_is_stacked():
    first, second = stacked_and_looped(TimeFirst(turned=True), seeded(3, 7, 4), TIME_FIRST)
    assert first.shape == (7, 3, 6)
    assert not torch.equal(first, second)


def test_attention_with_time_first_is_stacked_along_its_own_axis():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.heads = nn.Identity(), nn.MultiheadAttention(4, 2)

        def forward(self, x):
            x = self.drop(x)
            return self.heads(x, x, x)[0]

    first, second = stacked_and_looped(Attends(), seeded(7, 3, 4), TIME_FIRST)
    assert first.shape == (7, 3, 4)
    assert not torch.equal(first, second)


class States(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.rnn = nn.GRU(4, 6, layers, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.rnn(self.drop(x))


@pytest.mark.parametrize(
    ("layers", "rows", "time"),
    [(2, 2, 5), (2, 4, 5), (1, 4, 8), (3, 2, 5), (1, 2, 2)],
    ids=["layers of both views", "layers of one view", "time as rows", "other layers", "all alike"],
)
def test_recurrent_states_are_cut_along_their_rows_whatever_sizes_are_equal(layers, rows, time):
    made = stacked_and_looped(
        States(layers), seeded(rows, time, 4), Plan(rule("drop", FLIPS, axes="batch time unit"))
    )
    for output, state in made:
        assert output.shape == (rows, time, 12)
        assert state.shape == (2 * layers, rows, 6)
    assert not torch.equal(made[0][1], made[1][1])


def test_packed_sequences_are_let_through():
    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(4, 6)

        def forward(self, x):
            lengths = torch.full((x.shape[0],), x.shape[1])
            return self.rnn(pack_padded_sequence(x.transpose(0, 1), lengths))[1]

    plan = Plan(rule("root.input", FLIPS))
    first, second = stacked_and_looped(Packs(), seeded(3, 5, 4), plan)
    assert first.shape == (1, 3, 6)
    assert not torch.equal(first, second)


class Four(nn.Module):
    def forward(self, x):
        if len(x) != 4:
            raise ValueError("takes 4 rows")
        return x


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Four(), r"cannot be stacked in one batch: the model does not run[\s\S]*looped"),
    ],
)
def test_what_cannot_be_stacked_is_refused_on_request_and_looped_unasked(model, words):
    with pytest.raises(ViewError, match=words):
        views(model, seeded(4, 3), mode="stacked")
    for output in views(model, seeded(4, 3)).outputs:
        assert torch.equal(output, model(seeded(4, 3)))


class _Layers(nn.Module):
    """Layers of which some may be skipped, as encoders of Hugging Face do."""

    def __init__(self):
        super().__init__()
        self.layerdrop = 0.0
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            if not self.training or torch.rand([]) >= self.layerdrop:
                x = layer(x)
        return x


class _Branch(nn.Module):
    """Stochastic depth for a whole batch, with the settings of torchvision's module."""

    def __init__(self):
        super().__init__()
        self.p, self.mode = 0.0, "batch"

    def forward(self, x):
        return x * (not self.training or torch.rand(()) >= self.p)


def _raise_layer_drop(net):
    net[1].layerdrop = 0.5


def _draw_for_the_batch(net):
    net[2].p, net[2].mode = 1, "batch"


def _raise_branch_drop(net):
    net[2].p = 0.5


def _drop_weights_of_a_part(net):
    Plan(rule("weight", DropConnect(rate=0.1))).install(net[3])


def _append_batch_norm(net):
    net.append(nn.BatchNorm1d(2))


_REPLACED = []


def _replace_a_layer_that_lives_on(net):
    _REPLACED.append(net[3])
    net[3] = Contrast()


def _change_a_layer_inside(net):
    net[1].layers[1] = nn.BatchNorm1d(WIDTH)


@pytest.mark.parametrize(
    "change",
    [
        _raise_layer_drop,
        _draw_for_the_batch,
        _raise_branch_drop,
        _drop_weights_of_a_part,
        _append_batch_norm,
        _replace_a_layer_that_lives_on,
        _change_a_layer_inside,
    ],
)
def test_what_is_drawn_once_for_a_batch_is_looked_at_anew_when_it_changes(change):
    net = nn.Sequential(Counts(), _Layers(), _Branch(), nn.Linear(WIDTH, 2), nn.Dropout(0.5))
    assert rows_of_forwards(net, X) == [8]
    change(net)
    assert rows_of_forwards(net, X) == [4, 4]


def test_a_second_plan_on_a_part_counts_as_the_first_one_does():
    net = nn.Sequential(Counts(), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2))
    Plan(rule("1", FLIPS)).install(net)
    assert rows_of_forwards(net, X) == [8]
    Plan(rule("weight", DropConnect(rate=0.1))).install(net[2])
    assert rows_of_forwards(net, X) == [4, 4]
