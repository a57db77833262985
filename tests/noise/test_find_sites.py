"""`sites` lists every place for noise, its axes confirmed, and leaves the model as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.noise.find_sites import sites
from dropsmith.noise.lookup import noise_of
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.skippers import REAL, STACKS, X, stacked_in
from noise.zoo import FLIPS, Functional, Fused, Heads, mlp, seeded, sentences, tiny_bert, tiny_gpt2


def found(model, batch):
    return {(site.name, site.kind): site for site in sites(model, batch)}


def axes(model, batch):
    return {name: site.axes for (name, _), site in found(model, batch).items()}


class EverySort(nn.Module):
    """One of each kind of noise, batch first."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 8)
        self.lstm = nn.LSTM(8, 8, 2, dropout=0.1, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.heads = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
        self.own = Functional(0.4)
        self.fused = Fused(0.5)

    def forward(self, ids):
        x = self.dropout(self.lstm(self.words(ids))[0])
        x = self.heads(x, x, x)[0]
        return self.fused(self.own(x).squeeze(1))


def test_every_kind_of_site_is_listed_with_its_type_rate_axes_and_sizes():
    listed = found(EverySort(), torch.zeros(3, 5, dtype=torch.long))
    sequence, heads = ("batch", "time", "unit"), ("batch", "head", "time", "time")
    wanted = [
        ("words", "words", "Embedding", None, sequence, (3, 5, 8)),
        ("words", "output", "Embedding", None, sequence, (3, 5, 8)),
        ("words.weight", "weight", "Embedding", None, (), (9, 8)),
        ("lstm.between()", "between", "LSTM", 0.1, sequence, (3, 5, 8)),
        ("lstm.weight_hh_l1", "weight", "LSTM", None, (), (32, 8)),
        ("dropout", "dropout", "Dropout", 0.2, sequence, (3, 5, 8)),
        ("heads.input", "input", "MultiheadAttention", None, sequence, (3, 5, 8)),
        ("own.dropout()", "functional", "Functional", 0.4, sequence, (3, 5, 8)),
        ("fused.attention()", "attention", "Fused", 0.5, heads, (3, 2, 5, 5)),
    ]  # fmt: skip
    for name, kind, type_, rate, names, sizes in wanted:
        site = listed[name, kind]
        assert (site.type, site.rate, site.axes, site.sizes) == (type_, rate, names, sizes), name
    assert listed["heads.attention()", "attention"].rate == 0.3


def test_a_dropout_module_is_one_site_and_not_an_output_besides():
    assert [name for name, _ in found(nn.Sequential(nn.Dropout(0.2)), torch.ones(2, 3))][-1] == "0"
    kinds = {
        kind
        for name, kind in found(nn.Sequential(nn.Dropout(0.2)), torch.ones(2, 3))
        if name == "0"
    }
    assert kinds == {"dropout"}


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (nn.Dropout, "batch unit"),
        (nn.Dropout1d, "batch channel time"),
        (nn.Dropout2d, "batch channel height width"),
        (nn.Dropout3d, "batch channel time height width"),
        (nn.AlphaDropout, "batch unit"),
        (nn.FeatureAlphaDropout, "batch time unit"),
    ],
)
def test_every_sort_of_dropout_is_found_also_at_the_root(layer, names):
    names = tuple(names.split())
    (site,) = sites(layer(0.3), torch.ones(2, 3, 4, 4, 4)[(..., *[0] * (5 - len(names)))])
    assert (site.name, site.kind, site.rate, site.axes) == ("root", "dropout", 0.3, names)


@pytest.mark.parametrize(("attention", "ends"), [("sdpa", ".attention()"), ("eager", ".dropout()")])
@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_attention_dropout_of_hugging_face_models_is_found(make, attention, ends):
    model = make(attention, rate=0.1)
    noisy = [s for s in sites(model, sentences()) if s.native and s.kind != "dropout"]
    assert len(noisy) == 2
    assert all(site.name.endswith(ends) and site.rate == 0.1 for site in noisy)


def test_multi_head_attention_called_as_a_function_is_found():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(seeded(24, 8))
            self.out = nn.Parameter(seeded(8, 8))

        def forward(self, x):
            return F.multi_head_attention_forward(
                x, x, x, 8, 2, self.weight, None, None, None, False, 0.25, self.out, None
            )[0]  # fmt: skip

    site = found(nn.Sequential(Own()), seeded(5, 3, 8))["0.attention()", "attention"]
    assert (site.rate, site.sizes) == (0.25, (3, 2, 5, 5))


class TimeFirst(nn.Module):
    def __init__(self, turned):
        super().__init__()
        self.turned = turned
        self.rnn = nn.GRU(4, 6, 2, dropout=0.1)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        x = x.transpose(0, 1) if self.turned else x
        return self.norm(self.rnn(x)[0])


@pytest.mark.parametrize(("turned", "sizes"), [(False, (7, 3, 4)), (True, (3, 7, 4))])
def test_time_first_is_confirmed_whether_the_batch_comes_so_or_the_model_turns_it(turned, sizes):
    known = axes(TimeFirst(turned), torch.ones(sizes))
    for name in ("rnn", "rnn.between()", "norm", "norm.input", "rnn.input"):
        assert known[name] == ("time", "batch", "unit"), name


def test_an_axis_that_no_run_can_tell_is_unknown():
    class Odd(nn.Module):
        def forward(self, x):
            return x[None, :, :, None]

    assert axes(nn.Sequential(Odd()), torch.ones(4, 9))["0"] == ("?", "batch", "?", "?")


def test_images_have_height_and_width():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2))
    known = axes(net, torch.ones(2, 1, 8, 8))
    assert known["0"] == known["1"] == known["0.input"] == ("batch", "channel", "height", "width")


@pytest.mark.parametrize(
    "batch", [torch.ones(4, 8), (torch.ones(4, 8),), {"input": torch.ones(4, 8)}]
)
def test_a_batch_is_a_tensor_a_tuple_or_a_mapping(batch):
    assert len(sites(mlp(), batch)) == len(sites(mlp(), torch.ones(4, 8)))


def test_modes_statistics_and_generator_stay_as_they_were():
    net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)).train()
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes, state = [m.training for m in net.modules()], torch.get_rng_state()
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    sites(net, seeded(4, 8))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_buffer_made_by_the_run_is_no_trouble():
    class Late(nn.Module):
        def forward(self, x):
            self.register_buffer("seen", x.detach().clone())
            return x

    assert sites(nn.Sequential(Late()), torch.ones(2, 3))


def test_listing_a_model_with_a_plan_counts_no_step_and_shows_the_declared_rates():
    net = mlp(rate=0.2)
    Plan(rule("1", FLIPS)).install(net)
    net(torch.ones(2, 8))
    draw_counts = dict(noise_of(net).draw_counts)
    assert found(net, torch.ones(2, 8))["1", "dropout"].rate == 0.2
    assert (noise_of(net).step, noise_of(net).draw_counts) == (1, draw_counts)


def test_modules_and_generator_survive_a_model_that_fails():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    net = nn.Sequential(nn.Dropout(0.5), Broken()).eval()
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="broken"):
        sites(net, torch.ones(2, 3))
    assert not net.training
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_heads_are_found_once():
    names = [site.name for site in sites(Heads(), seeded(2, 5, 8))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", STACKS)
def test_sites_of_layers_that_a_run_would_skip_are_listed(kind):
    model = stacked_in(kind, 1.0)
    listed = found(model, X)
    for number in range(3):
        site = listed[f"1.layers.{number}.dropout()", "functional"]
        assert (site.rate, site.sizes, site.axes) == (0.5, tuple(X.shape), ("batch", "unit"))
    assert listed == found(stacked_in(kind, 0.0), X)


@pytest.mark.parametrize("name", REAL)
def test_sites_of_models_that_drop_layers_are_those_of_models_that_do_not(name):
    build, batch = REAL[name]
    listed = found(build(1.0), batch)
    assert listed == found(build(0.0), batch)
    assert any(kind == "attention" for _, kind in listed)
