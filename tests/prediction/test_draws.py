"""Stratified samples: the same masks one by one, a mean with a smaller error."""

import warnings
from math import sqrt

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    DropConnect,
    Gaussian,
    Spans,
    StochasticDepth,
    Tiles,
    WordDropout,
)
from dropsmith.plans import Plan, rule
from dropsmith.prediction.draws import BLOCK, SampleSize, StandardError
from dropsmith.prediction.moments import Moments
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.stream import stream_predictions
from prediction.noisy import net, seeded

X = seeded(6, 4)
TOKENS = torch.arange(24).view(3, 8) % 9


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x + self.branch(x))


def images():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def words():
    return nn.Sequential(nn.Embedding(9, 6), nn.Flatten(), nn.Linear(48, 3))


def dense():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


CASES = {
    "units": (dense, X, rule("0", Bernoulli(rate=0.3))),
    "rows sharing a mask": (dense, X, rule("0", Bernoulli(rate=0.3, shared="batch"))),
    "gaussian": (dense, X, rule("0", Gaussian(rate=0.3))),
    "weights": (dense, X, rule("2.weight", DropConnect(rate=0.3))),
    "branches": (Branch, X, rule("branch", StochasticDepth(rate=0.3))),
    "words": (words, TOKENS, rule("0", WordDropout(rate=0.3))),
    "channels": (images, seeded(3, 1, 8, 8), rule("0", Bernoulli(rate=0.3, shared="height width"))),
    "blocks": (images, seeded(3, 1, 8, 8), rule("0", DropBlock(rate=0.2, size=3))),
    "spans": (words, TOKENS, rule("0", Spans(size=2, stride=4), axes="batch time unit")),
    "tiles": (images, seeded(3, 1, 8, 8), rule("0", Tiles(size=2, stride=2))),
    "one tile": (images, seeded(3, 1, 8, 8), rule("0", Tiles(size=3, stride=0, repeat=1))),
    "turned tiles": (images, seeded(3, 1, 8, 8), rule("0", Tiles(size=2, stride=2, rotate=30))),
    "state": (lambda: SmallLSTM(words=9, width=8), TOKENS, *lstm_plan("variational", 0.3).rules),
}


def variances(make, x, rules, draws, samples=13, repetitions=60):
    torch.manual_seed(0)
    model, plan = make(), Plan(*rules)
    means = [
        predict(model, x, samples, plan=plan, seed=seed, draws=draws, kind="regression").mean
        for seed in range(repetitions)
    ]
    return torch.stack(means).double()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_mean_of_stratified_samples_has_a_smaller_error_and_no_bias(case):
    make, x, *rules = case
    stratified = variances(make, x, rules, "stratified")
    independent = variances(make, x, rules, "independent")
    spread = independent.var(0)
    # Of 60 repetitions a ratio of variances spreads by a quarter for one output; there are many.
    assert float(stratified.var(0).sum() / spread.sum()) < 0.75
    error = (stratified.mean(0) - independent.mean(0)).pow(2).sum()
    assert float(error) < 4 * float((spread + stratified.var(0)).sum()) / len(stratified)


def test_samples_are_the_same_however_many_are_stacked():
    torch.manual_seed(0)
    x, plan = seeded(5, 4), Plan(rule("0", Bernoulli(rate=0.4)))
    model = dense()
    want = predict(model, x, 11, plan=plan, mode="looped", replay=False, keep=True).draws
    for settings in ({}, {"memory": 1}, {"memory": 2000}, {"replay": False}):
        found = predict(model, x, 11, plan=plan, keep=True, **settings).draws
        torch.testing.assert_close(found, want)


def test_each_unit_is_dropped_in_its_share_of_the_samples_to_one():
    x, rate = torch.ones(40, 50), 0.3
    model, plan = nn.Linear(50, 50, bias=False), Plan(rule("root.input", Bernoulli(rate=rate)))
    nn.init.eye_(model.weight)
    for samples in (7, 20, 50):
        draws = predict(model, x, samples, plan=plan, kind="regression", keep=True).draws
        dropped = (draws == 0).sum(0)
        assert int(dropped.min()) >= int(rate * samples)
        assert int(dropped.max()) <= int(rate * samples) + 1


def test_rows_and_units_have_orders_of_their_own():
    x = torch.ones(30, 40)
    model, plan = nn.Linear(40, 40, bias=False), Plan(rule("root.input", Bernoulli(rate=0.5)))
    nn.init.eye_(model.weight)
    draws = predict(model, x, 16, plan=plan, kind="regression", keep=True).draws
    patterns = (draws == 0).flatten(1).T.unique(dim=0)
    assert len(patterns) > 100


@pytest.mark.slow
def test_the_variance_of_stratified_samples_is_that_of_the_distribution():
    # One layer of noise and a linear output: y = Σ wᵢ mᵢ xᵢ, of variance p / (1 - p) Σ (wᵢ xᵢ)².
    torch.manual_seed(0)
    rate, samples = 0.3, 5
    linear, x = nn.Linear(64, 1, bias=False).double(), torch.randn(6, 64, dtype=torch.float64)
    plan = Plan(rule("root.input", Bernoulli(rate=rate)))
    found = torch.stack(
        [
            predict(linear, x, samples, plan=plan, kind="regression", seed=seed).variance[:, 0]
            for seed in range(400)
        ]
    )
    want = rate / (1 - rate) * (linear.weight[0].detach() * x).square().sum(1)
    ratio = (found / want).mean(1)
    # Divided by 4 instead of 5 it would come out at about 1.2.
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / sqrt(len(ratio)) + 0.03


def test_as_many_samples_are_drawn_as_the_tolerance_takes():
    model, x = net(), seeded(8, 4)
    loose, strict = (predict(model, x, "auto", tolerance=t).samples for t in (0.05, 0.004))
    assert loose == 4 * BLOCK
    assert strict > loose
    assert strict % BLOCK == 0
    means = torch.stack(
        [predict(model, x, "auto", tolerance=0.004, seed=s).mean for s in range(20)]
    ).double()
    # The root mean square over rows and classes is below that of the worst row, with some slack
    # for an error that is estimated from a few blocks.
    assert float(means.var(0).mean().sqrt()) < 1.5 * 0.004


def test_the_standard_error_is_that_of_the_means_of_blocks():
    moments, blocks = Moments("regression"), seeded(7, BLOCK, 5, 2).double()
    error = StandardError(moments, None)
    for block in blocks:
        moments.add_block(block)
        error.is_small()
    wanted = (blocks.mean(1).var(0) / len(blocks)) / blocks.flatten(0, 1).var(0)
    assert error.value == pytest.approx(float(wanted.mean(1).max().sqrt()))


def test_a_tolerance_that_is_not_reached_is_said():
    with pytest.warns(UserWarning, match="after 1300 samples the standard error of the mean is"):
        predict(net(), X, "auto", tolerance=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(net(), X, "auto", tolerance=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": "stratifed"}, "did you mean .stratified"),
        ({"samples": "all"}, "or samples='auto'"),
        ({"samples": 1}, "at least 2 samples"),
        ({"samples": "auto", "tolerance": -1.0}, "tolerance must be a finite number"),
        ({"samples": 50, "tolerance": 0.1}, "leave one of the two out"),
    ],
)
def test_what_is_no_number_of_samples_is_refused(settings, message):
    with pytest.raises(NoiseError, match=message):
        SampleSize(**{"samples": 10} | settings)


def test_draws_that_do_not_exist_are_refused_where_batches_are_streamed_too():
    plan, batch = Plan(rule("0", Bernoulli(rate=0.5))), {"input": X}
    model = dense()
    with (
        plan.installed(model, batch),
        pytest.raises(NoiseError, match="did you mean 'stratified'"),
        stream_predictions(model, batch, 4, draws="stratifed"),  # pyright: ignore
    ):
        pass


def test_a_tolerance_of_zero_is_one_that_no_number_of_samples_reaches():
    assert StandardError(Moments("classification"), 0.0).tolerance == 0
    with pytest.warns(UserWarning, match="above the tolerance of 0\n"):
        predict(net(), X, "auto", tolerance=0.0)


@pytest.mark.parametrize(
    ("noise", "lost"), [(nn.AlphaDropout(0.3), 1), (nn.Dropout(0.3), 0)], ids=["torch", "keyed"]
)
def test_samples_that_torch_alone_drew_are_divided_as_independent_ones(noise, lost):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), noise, nn.Linear(8, 3))
    prediction = predict(model, torch.randn(5, 4), samples=12, keep=True)
    squares = (prediction.draws - prediction.draws.mean(0)).square().sum(0)
    torch.testing.assert_close(prediction.variance, squares / (12 - lost))
