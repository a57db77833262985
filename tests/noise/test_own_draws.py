"""What modules draw by their own code is seen where no site explains it, and nowhere else."""

import random
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.errors import SiteError
from dropsmith.noise.own_draws import own_draws
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli, Off
from dropsmith.patterns import StochasticDepth as StochasticDepthPattern
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction import predict
from noise.zoo import seeded


class Draws(nn.Module):
    """Draws by its own code while it trains, in a way that its argument says."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x):
        return self.draw(x) if self.training else x


OWN = {
    "rows": ("torch", lambda x: x * torch.empty(len(x), 1).bernoulli_(0.5) * 2),
    "spec": ("numpy", lambda x: x * float(np.random.random() > 0.3)),
    "skip": ("random", lambda x: x if random.random() < 0.5 else 2 * x),
    "gumbel": ("torch", F.gumbel_softmax),
    "jitter": ("torch", lambda x: x * torch.empty_like(x).uniform_(0.9, 1.1)),
    "slope": ("torch", lambda x: F.rrelu(x, training=True)),
}


def net(kind):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 16), nn.Sequential(nn.ReLU(), Draws(OWN[kind][1])), nn.Dropout(0.5),
        nn.Linear(16, 3),
    )  # fmt: skip


@pytest.mark.parametrize("kind", OWN)
def test_the_module_and_the_generator_are_named_and_its_neighbours_are_not(kind):
    model, x = net(kind), seeded(6, 4)
    draws = own_draws(model, lambda: model(x))
    assert draws.generators == {"1.1": {OWN[kind][0]}}
    table = audit(model, x)
    assert [row.site.name for row in table.rows if row.how == "code"] == ["1.1"]
    assert table["1.1"].on
    assert table["2"].how == "torch"


@pytest.mark.parametrize("kind", OWN)
def test_in_eval_mode_it_is_listed_as_off(kind):
    row = audit(net(kind).eval(), seeded(6, 4))["1.1"]
    assert (row.on, row.why) == (False, "eval mode")


@pytest.mark.parametrize("kind", OWN)
def test_a_prediction_says_that_it_does_not_sample_it(kind):
    with pytest.warns(UserWarning, match=r"1\.1 draws noise by its own code in training"):
        predict(net(kind), seeded(6, 4), samples=3, kind="values")


def test_noise_of_its_own_that_is_always_on_is_sampled_without_a_word():
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), _Always())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(model, seeded(6, 4), samples=3, kind="values")


class _Always(nn.Module):
    def forward(self, x):
        return x * torch.empty(len(x), 1).bernoulli_(0.5)


SITES = {
    "functional": lambda: nn.Sequential(nn.Linear(4, 4), Draws(lambda x: F.dropout(x, 0.5))),
    "attention": lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
    "recurrent": lambda: nn.LSTM(4, 4, 2, dropout=0.5, batch_first=True),
    "alpha": lambda: nn.Sequential(nn.AlphaDropout(0.5), nn.Dropout1d(0.5)),
}


@pytest.mark.parametrize("kind", SITES)
def test_draws_of_sites_are_nobodys_own(kind):
    model = SITES[kind]()
    draws = own_draws(model, lambda: model(seeded(2, 3, 4)))
    assert draws.modules == []


class DropPath(nn.Module):
    """Stochastic depth as timm and transformers write it."""

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if self.drop_prob == 0 or not self.training:
            return x
        kept = 1 - self.drop_prob
        shape = (len(x),) + (1,) * (x.ndim - 1)
        return x * x.new_empty(shape).bernoulli_(kept) / kept


class StochasticDepth(nn.Module):
    """As torchvision writes it."""

    def __init__(self, p, mode):
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        size = [len(x) if self.mode == "row" else 1] + [1] * (x.ndim - 1)
        return x * torch.empty(size).bernoulli_(1 - self.p).div_(1 - self.p)


DEPTH = {
    "timm": lambda: DropPath(0.25),
    "row": lambda: StochasticDepth(0.25, "row"),
    "batch": lambda: StochasticDepth(0.25, "batch"),
}


@pytest.mark.parametrize("kind", DEPTH)
def test_stochastic_depth_is_a_native_site_that_is_keyed_retuned_and_silenced(kind):
    model, x = nn.Sequential(nn.Identity(), DEPTH[kind]()), torch.ones(400, 3)
    row = audit(model, x)["1"]
    assert (row.site.kind, row.site.rate, row.how, row.on) == ("path", 0.25, "torch", True)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with Plan(rule("1", StochasticDepthPattern(rate=0.5))).installed(model, x):
        first, second = model(x), model(x)
        assert audit(model, x)["1"].how == "keyed"
    # Rows are zero or doubled as a whole; half of 400 within five standard errors.
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert bool((first == first[:, :1]).all())
    assert abs((first[:, 0] == 0).double().mean() - 0.5) < 5 * (0.25 / 400) ** 0.5
    assert not torch.equal(first, second)
    with Plan(rule(select_path(), Off())).installed(model, x):
        assert torch.equal(model(x), x)
        assert not audit(model, x)["1"].on
    assert torch.equal(torch.get_rng_state(), state)
    assert getattr(model[1], "drop_prob", getattr(model[1], "p", None)) == 0.25


def select_path():
    from dropsmith.plans.selector import select

    return select("**", kind="path")


@pytest.mark.slow
@pytest.mark.parametrize("kind", DEPTH)
def test_predictions_vary_as_training_passes_with_stochastic_depth_do(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), DEPTH[kind](), nn.Dropout(0.1), nn.Linear(16, 3))
    x = seeded(3, 4)
    with torch.no_grad():
        by_hand = torch.stack([model.train()(x) for _ in range(2000)]).double().var(0)
    ours = predict(model, x, samples=2000, kind="values").variance.double()
    # Variances of 2,000 draws of this noise are within a fifth of theirs.
    torch.testing.assert_close(ours, by_hand, rtol=0.25, atol=0)


class Layers(nn.Module):
    """Layer drop as transformers writes it."""

    def __init__(self, rate):
        super().__init__()
        self.layerdrop = rate
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            if self.training and torch.rand([]) < self.layerdrop:
                continue
            x = layer(x)
        return x


def test_layer_drop_is_told_by_its_own_name_and_not_at_rate_zero():
    x = seeded(2, 4)
    row = audit(nn.Sequential(Layers(0.4)), x)["0"]
    assert row.on
    assert row.why == "layer drop at rate 0.4"
    assert audit(nn.Sequential(Layers(0.0)), x).rows == ()


def test_a_rule_on_a_layer_that_is_skipped_is_no_error_and_one_beside_it_is():
    x = seeded(2, 4)
    model = nn.ModuleDict({"stack": Layers(1.0), "never": nn.Linear(4, 4)})
    model.forward = lambda x: model["stack"](x)
    with Plan(rule("stack.layers.1", Bernoulli(rate=0.5))).installed(model):
        model(x)
    model["stack"].layerdrop = 0.0
    with Plan(rule("never", Bernoulli(rate=0.5))).installed(model):
        for _ in range(3):
            with pytest.raises(SiteError, match="never ran"):
                model(x)


class DrawingThread:
    """Draws from the generators that all threads share, between what the model draws."""

    def __init__(self):
        self.going = True
        self.thread = threading.Thread(target=self.draw, daemon=True)

    def draw(self):
        while self.going:
            torch.rand(1)
            np.random.random()
            random.random()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.going = False
        self.thread.join()


@pytest.mark.slow
def test_what_another_thread_draws_is_laid_at_no_modules_door():
    model, x = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 3)), seeded(6, 4)
    with DrawingThread():
        for _ in range(5):
            assert own_draws(model, lambda: [model(x) for _ in range(20)]).generators == {}


@pytest.mark.parametrize("kind", [kind for kind in OWN if OWN[kind][0] == "torch"])
def test_what_a_module_draws_from_torch_is_seen_beside_another_threads_draws(kind):
    model, x = net(kind), seeded(6, 4)
    with DrawingThread():
        for _ in range(3):
            assert own_draws(model, lambda: model(x)).generators == {"1.1": {"torch"}}
