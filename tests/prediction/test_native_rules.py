import warnings
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.patterns import Bernoulli, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.native_dropout import native_calls
from dropsmith.prediction.native_rules import native_plan
from dropsmith.prediction.run_predict import predict
from noise.skippers import STACKS, X, stacked_in
from prediction.noisy import NOISY, Attention, Functional, Packed, Recurrent, alpha, encoder, seeded


def patterns(model, batch):
    return {one.selector.name: one.pattern for one in native_plan(model, batch).rules}


def test_every_native_site_has_its_own_rate():
    assert patterns(encoder(), seeded(3, 5, 16)) == {
        f"layers.{layer}.{site}": Bernoulli(rate=0.3)
        for layer in (0, 1)
        for site in ("self_attn.attention()", "dropout", "dropout1", "dropout2")
    }
    assert patterns(Attention(), seeded(3, 6, 8)) == {"attention.attention()": Bernoulli(rate=0.5)}
    assert patterns(Recurrent(), seeded(3, 6, 4)) == {"lstm.between()": Bernoulli(rate=0.5)}
    assert patterns(nn.Dropout(0.4), seeded(3, 4)) == {"root": Bernoulli(rate=0.4)}


@pytest.mark.parametrize(
    ("module", "sizes", "shared"),
    [
        (nn.Dropout1d(0.3), (2, 3, 5), "time"),
        (nn.Dropout2d(0.3), (2, 3, 5, 4), "height width"),
        (nn.Dropout3d(0.3), (2, 3, 5, 4, 2), "time height width"),
    ],
)
def test_channels_are_dropped_whole_by_module_and_by_function(module, sizes, shared):
    whole = Bernoulli(rate=0.3, shared=shared)
    x = torch.ones(sizes)
    assert patterns(nn.Sequential(nn.Identity(), module), x) == {"1": whole}
    called = Calling({3: F.dropout1d, 4: F.dropout2d, 5: F.dropout3d}[x.ndim])
    assert patterns(called, x) == {"root.dropout()": whole}
    for model in (module, called):
        draws = predict(model, x, samples=3, kind="regression", keep=True).draws.flatten(3)
        assert torch.equal(draws, draws[..., :1].expand_as(draws))


class Calling(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x, 0.3, training=self.training)


def test_what_has_no_mask_keeps_torchs_own_draw():
    class Locked(nn.Dropout):
        def forward(self, input):
            return input * F.dropout(torch.ones_like(input[:, :1]), self.p, self.training)

    own = nn.Sequential(nn.Linear(4, 4), Locked(0.2))
    assert patterns(own, seeded(3, 4)) == {"1": TorchDropout(rate=0.2)}
    assert patterns(alpha(), seeded(3, 4)) == {"2": TorchDropout(rate=0.2)}
    assert patterns(Packed(), seeded(3, 6, 4)) == {"lstm.between()": TorchDropout(rate=0.5)}
    draws = predict(own, seeded(3, 4), samples=4, kind="regression", keep=True).draws
    together = (draws == 0).sum(-1)
    assert set(together.flatten().tolist()) == {0, 4}


RETUNED = {
    "units": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5)), (3, 4)),
    "dropout at rate 0": (lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.0)), (3, 4)),
    "attention": (Attention, (3, 6, 8)),
    "between layers": (Recurrent, (3, 6, 4)),
    "encoder": (encoder, (3, 5, 16)),
}


@pytest.mark.parametrize("name", RETUNED)
def test_dropout_at_another_rate_has_the_masks_of_a_model_made_at_that_rate(name):
    make, sizes = RETUNED[name]
    x, model = seeded(*sizes), make().eval()
    made = deepcopy(model)
    for module in made.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.2
        if isinstance(module, nn.LSTM | nn.MultiheadAttention):
            module.dropout = 0.2
    plan = Plan(rule("**", TorchDropout(rate=0.2)))
    settings = {"samples": 5, "kind": "regression", "keep": True}
    for draws in ("stratified", "independent"):
        found = predict(model, x, plan=plan, draws=draws, **settings).draws
        assert torch.equal(found, predict(made, x, draws=draws, **settings).draws)
    assert len(found.unique(dim=0)) > 1


def test_what_has_no_mask_is_retuned_by_torch():
    for model, sizes in ((alpha(), (3, 4)), (Packed(), (3, 6, 4))):
        x, plan = seeded(*sizes), Plan(rule("**", TorchDropout(rate=0.9)))
        spread = [
            predict(model, x, 60, kind="regression", plan=each).variance.mean()
            for each in (plan, Plan())
        ]
        assert spread[0] != spread[1] > 0


def test_rate_zero_and_what_is_read_but_never_called_have_no_rule():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.off = nn.Dropout(0.3), nn.Dropout(0.0)

        def forward(self, x):
            return self.off(F.dropout(x, self.read.p, self.training))

    assert patterns(Reader(), seeded(3, 4)) == {"root.dropout()": Bernoulli(rate=0.3)}


def test_a_plan_of_native_noise_can_be_written_down_and_installed():
    for name in ("encoder", "lstm", "images", "alpha"):
        model, batch = NOISY[name]
        plan = native_plan(model, batch)
        assert Plan.from_json(plan.to_json()) == plan
        with plan.installed(model, batch):
            pass


def test_calls_are_told_with_the_rates_they_have_in_train_mode():
    calls = native_calls(Functional().eval(), seeded(3, 4))
    assert {name: [one.rate for one in made] for name, made in calls.items()} == {
        "root.dropout()": [0.5, 0.2, 0.0]
    }


def test_a_rule_cannot_say_that_calls_differ():
    with pytest.raises(NoiseError, match=r"'root.dropout\(\)' drops diff[\s\S]*0.5[\s\S]*0.2"):
        native_plan(Functional(), seeded(3, 4))


def test_calls_that_differ_are_each_dropped_at_their_own_rate():
    class Shares(nn.Module):
        def forward(self, x):
            return torch.stack([F.dropout(x, p, self.training) for p in (0.5, 0.0, 0.1)], 1)

    draws = predict(Shares(), torch.ones(2, 3000), samples=3, kind="regression", keep=True).draws
    rates = (draws == 0).float().mean((0, 1, 3))
    sigma = (torch.tensor([0.25, 0, 0.09]) / (6 * 3000)).sqrt()
    assert ((rates - torch.tensor([0.5, 0.0, 0.1])).abs() <= 5 * sigma).all()


@pytest.mark.filterwarnings("ignore:dropout2d. Received a 3D input")
def test_one_channel_dropout_on_tensors_of_several_ranks_drops_channels_of_each():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout2d(0.5)

        def forward(self, x):
            return self.drop(x) + self.drop(x.flatten(2)).view_as(x)

    draws = predict(Both(), torch.ones(2, 3, 4, 5), 3, kind="regression", keep=True).draws.flatten(
        3
    )
    assert torch.equal(draws, draws[..., :1].expand_as(draws))
    assert draws.unique().tolist() == [0, 2, 4]


def test_alpha_dropout_among_calls_that_differ_is_refused():
    class Mixed(nn.Module):
        def forward(self, x):
            return F.alpha_dropout(F.dropout(x, 0.5, self.training), 0.2, self.training)

    with pytest.raises(NoiseError, match="mixes alpha dropout"):
        predict(Mixed(), seeded(3, 4), samples=2)


def test_a_rule_of_the_users_decides_over_calls_that_differ():
    plan = Plan(rule("root.dropout()", Bernoulli(rate=0.25)))
    twice = predict(
        Twofold(), torch.ones(2, 4000), samples=2, plan=plan, kind="regression", keep=True
    )
    rates = (twice.draws == 0).float().mean((0, 1, 3))
    assert ((rates - 0.25).abs() < 5 * (0.25 * 0.75 / 16000) ** 0.5).all()


class Twofold(nn.Module):
    def forward(self, x):
        return torch.stack([F.dropout(x, p, self.training) for p in (0.5, 0.1)], 1)


def test_noise_that_is_only_called_in_train_mode_is_named_in_a_warning():
    class Shy(nn.Module):
        def __init__(self):
            super().__init__()
            self.shy, self.plain = nn.Dropout(0.3), nn.Dropout(0.2)

        def forward(self, x):
            return self.plain(self.shy(x) if self.training else x)

    with pytest.warns(UserWarning, match="shy drops in training but does not run in eval mode"):
        predict(Shy(), seeded(3, 4), samples=2)


@pytest.mark.parametrize("kind", STACKS)
def test_noise_of_layers_that_a_training_pass_may_skip_is_sampled(kind):
    model = stacked_in(kind, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = predict(model, X, samples=6, kind="values", keep=True).draws
        wanted = predict(stacked_in(kind, 0.0), X, samples=6, kind="values", keep=True).draws
    torch.testing.assert_close(ours, wanted)
    assert float(ours.var(0).min()) > 0


@pytest.mark.parametrize("kind", STACKS)
def test_a_prediction_says_that_it_does_not_skip_layers(kind):
    with pytest.warns(UserWarning, match="1 draws noise by its own code in training and none"):
        predict(stacked_in(kind, 0.4), X, samples=3, kind="values")


@pytest.mark.parametrize(
    "name", ["dropout", "lstm", "multi-head", "encoder", "root", "twice", "in place"]
)
def test_a_plan_that_retunes_dropout_is_sampled_by_key(name):
    model, batch = NOISY[name]
    sites = [one.selector.name for one in native_plan(model, batch).rules]

    def found(pattern):
        plan = Plan(*(rule(site, pattern) for site in sites))
        return predict(model, batch, 6, plan=plan, kind="regression", keep=True)

    keyed, retuned = found(Bernoulli(rate=0.25)), found(TorchDropout(rate=0.25))
    assert torch.equal(keyed.draws, retuned.draws)
    assert torch.equal(keyed.variance, retuned.variance)


@pytest.mark.parametrize("name", ["alpha", "images"])
def test_what_has_no_mask_for_each_unit_stays_torchs_where_a_plan_retunes_it(name):
    model, batch = NOISY[name]
    sites = [one.selector.name for one in native_plan(model, batch).rules]
    plan = Plan(*(rule(site, TorchDropout(rate=0.25)) for site in sites))
    kept = {"kind": "regression", "plan": plan, "keep": True}
    first, again = (predict(model, batch, 4, **kept) for _ in range(2))
    assert torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws[0], first.draws[1])
