import copy

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import SiteError
from dropsmith.recurrent import GRU, LSTM, RNN, convert, revert


class Tagger(nn.Module):
    """A model as somebody else has written it, with a layer in a list and one by itself."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.LSTM(4, 5, batch_first=True), nn.GRU(5, 6)])
        self.last = nn.RNN(6, 3, nonlinearity="relu")
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        for layer in [*self.layers, self.last]:
            x = layer(x)[0]
        return self.head(x)


X = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0))


def tagger():
    torch.manual_seed(0)
    return Tagger()


def test_every_layer_is_converted_in_place_and_nothing_else_changes():
    model = tagger()
    expected, before = model(X), copy.deepcopy(model.state_dict())
    layers, parameters = [*model.layers, model.last], list(model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert convert(model) == ("layers.0", "layers.1", "last")
    assert [type(layer) for layer in layers] == [LSTM, GRU, RNN]
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert torch.equal(model(X), expected)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    model(X).sum().backward()
    optimizer.step()
    assert not torch.equal(before["last.weight_hh_l0"], model.last.weight_hh_l0)


def test_reverting_undoes_it_exactly():
    model = tagger()
    own = [dict(vars(layer)) for layer in [*model.layers, model.last]]
    convert(model)
    plan = ds.Plan(ds.rule("**.recurrent", ds.Bernoulli(rate=0.5, shared="time")))
    with plan.installed(model, X):
        model(X)
    assert revert(model) == ("layers.0", "layers.1", "last")
    assert [type(layer) for layer in [*model.layers, model.last]] == [nn.LSTM, nn.GRU, nn.RNN]
    for layer, before in zip([*model.layers, model.last], own, strict=True):
        assert list(vars(layer)) == list(before)
        assert all(vars(layer)[key] is value for key, value in before.items() if key[0] != "_")


def test_a_layer_that_is_the_whole_model_is_converted_too():
    layer = nn.LSTM(4, 5)
    assert convert(layer) == ("root",)
    assert isinstance(layer, LSTM)


def test_reverting_under_a_plan_is_refused():
    model = tagger()
    convert(model)
    plan = ds.Plan(ds.rule("last.recurrent", ds.Bernoulli(rate=0.5, shared="time")))
    with (
        plan.installed(model, X),
        pytest.raises(SiteError, match=r"noise inside 'last'\n.*plan\.remove"),
    ):
        revert(model)


def test_a_model_without_recurrent_layers_says_so():
    with pytest.raises(SiteError, match=r"this Linear has no nn\.LSTM, nn\.GRU or nn\.RNN"):
        convert(nn.Linear(2, 2))


def test_layers_of_a_class_of_their_own_are_left_alone_and_named():
    class Mine(nn.LSTM):
        pass

    model = nn.Sequential(Mine(2, 3))
    with pytest.raises(SiteError, match=r"not converted, because of a derived class: 0 \(Mine\)"):
        convert(model)
    assert type(model[0]) is Mine


def test_converting_twice_says_that_it_is_done():
    model = tagger()
    convert(model)
    with pytest.raises(SiteError, match="are converted already"):
        convert(model)


def test_before_conversion_a_rule_on_the_state_matches_no_site_and_says_what_to_do():
    with pytest.raises(SiteError, match=r"matched no site[\s\S]*recurrent\.convert\(model\)"):
        ds.Plan(ds.rule("last.recurrent", ds.Bernoulli(rate=0.5))).install(tagger(), X)


def test_a_layer_left_alone_among_others_that_are_converted_is_named_in_a_warning():
    class Mine(nn.GRU):
        pass

    model = nn.Sequential(nn.LSTM(2, 3), Mine(3, 3))
    with pytest.warns(UserWarning, match=r"not converted, because of a derived class: 1 \(Mine\)"):
        assert convert(model) == ("0",)
    assert type(model[1]) is Mine


class Recurrent(nn.Module):
    """One recurrent layer."""

    def __init__(self, layer):
        super().__init__()
        self.lstm = layer

    def forward(self, x):
        return self.lstm(x)[0]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("shared", ["", "time", "batch", "unit"])
def test_noise_between_layers_shares_the_same_axes_as_before_converting(kind, batch_first, shared):
    x, outputs = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0)), []
    inside = ds.rule("lstm.recurrent", ds.Bernoulli(rate=1e-7, shared="time"))
    for converted, also in ((False, ()), (True, ()), (True, (inside,))):
        torch.manual_seed(0)
        model = Recurrent(kind(6, 8, 2, dropout=0.3, batch_first=batch_first))
        if converted:
            convert(model)
        between = ds.rule("lstm.between()", ds.Bernoulli(rate=0.5, shared=shared))
        ds.Plan(between, *also).install(model, seed=3)
        outputs.append(model(x))
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0])
