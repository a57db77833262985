import copy
import math

import pytest
import torch
from torch import nn

from dropsmith.batches.arguments import call
from dropsmith.errors import DropsmithError, NoiseError, PlanError, ViewError
from dropsmith.patterns import Bernoulli, DropConnect, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from prediction.noisy import NOISY, OwnNoise, Recurrent, net, seeded

X = seeded(5, 4)


def same(one, two):
    torch.testing.assert_close(one.draws, two.draws)
    torch.testing.assert_close(one.variance, two.variance)


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("training", [True, False])
def test_every_kind_of_noise_is_felt_in_either_mode(name, training):
    model, batch = copy.deepcopy(NOISY[name][0]).train(training), NOISY[name][1]
    prediction = predict(model, batch, samples=8)
    assert (prediction.mutual_information > 0).any()
    assert prediction.mean.shape == call(model, batch).shape


@pytest.mark.parametrize("name", NOISY)
def test_stacked_and_replayed_samples_equal_a_plain_loop(name):
    model, batch = NOISY[name]
    plain = predict(model, batch, samples=7, mode="looped", replay=False, keep=True)
    same(predict(model, batch, samples=7, keep=True), plain)
    same(predict(model, batch, samples=7, mode="looped", keep=True), plain)
    same(predict(model, batch, samples=7, replay=False, keep=True), plain)


@pytest.mark.parametrize("memory", [0, 9_000, 20_000, 10**9])
def test_the_memory_budget_changes_nothing_but_the_number_of_forwards(memory):
    model, forwards = net(), []
    model[3].register_forward_hook(lambda module, given, out: forwards.append(len(out)))
    few = predict(model, X, samples=20, memory=memory, keep=True)
    full = [rows for rows in forwards if rows % 5 == 0]
    assert sum(full) == 20 * 5
    assert (max(full) == 5) == (memory == 0)
    same(few, predict(net(), X, samples=20, mode="looped", keep=True))


def test_stacked_samples_stay_within_the_budget():
    model, peak = nn.Sequential(nn.Linear(4, 4096), nn.Dropout(0.5), nn.Linear(4096, 2)), []
    model[1].register_forward_hook(lambda module, given, out: peak.append(out.nbytes))
    predict(model, seeded(8, 4), samples=30, memory=4 * 2**20)
    assert 2**19 < max(peak) < 4 * 2**20


def test_more_independent_samples_begin_with_the_same_ones():
    few, many = (predict(net(), X, n, keep=True, draws="independent") for n in (3, 9))
    torch.testing.assert_close(many.draws[:3], few.draws)


def test_a_linear_model_has_the_variance_that_algebra_gives():
    # y = Σ wᵢ mᵢ xᵢ / (1 - p): mean w·x and variance p / (1 - p) Σ (wᵢ xᵢ)².
    torch.manual_seed(0)
    rate, samples = 0.3, 4000
    linear = nn.Linear(64, 1, bias=False).double()
    x = torch.randn(6, 64, dtype=torch.float64)
    plan = Plan(rule("root.input", Bernoulli(rate=rate)))
    got = predict(linear, x, samples, plan=plan, kind="regression")
    parts = linear.weight[0] * x
    mean, variance = parts.sum(1), rate / (1 - rate) * parts.square().sum(1)
    off = (got.mean[:, 0] - mean).abs() / (variance / samples).sqrt()
    # A sum of 64 like terms is nearly normal: the sample variance spreads by √(2 / (n - 1)).
    spread = (got.variance[:, 0] / variance - 1).abs() / math.sqrt(2 / (samples - 1))
    assert off.max() < 5
    assert spread.max() < 5
    assert got.mean.dtype == torch.float64
    assert got.entropy is got.mutual_information is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["functional", "images", "lstm", "encoder", "alpha"])
def test_keyed_noise_is_distributed_as_torchs_own_in_train_mode(name):
    model, batch = copy.deepcopy(NOISY[name][0]), NOISY[name][1]
    samples = 1500
    ours = predict(model, batch, samples, kind="regression")
    norms = [m for m in model.train().modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.eval()
    torch.manual_seed(5)
    with torch.no_grad():
        theirs = torch.stack([call(model, batch) for _ in range(samples)]).double()
    variance = theirs.var(0)
    fourth = (theirs - theirs.mean(0)).pow(4).mean(0)
    off = (ours.mean - theirs.mean(0)).abs() / (2 * variance / samples + 1e-12).sqrt()
    # Two sample variances differ by √(2 (μ₄ - σ⁴) / n).
    away = (ours.variance - variance).abs() / (2 * (fourth - variance**2) / samples + 1e-12).sqrt()
    assert off.max() < 5.5
    assert away.max() < 5.5


def test_probabilities_are_averaged_and_not_logits():
    got = predict(net(), X, samples=11, keep=True)
    logits = predict(net(), X, samples=11, keep=True, kind="regression").draws
    torch.testing.assert_close(got.mean, logits.softmax(-1).mean(0))
    assert not torch.allclose(got.mean, logits.mean(0).softmax(-1), atol=1e-4)


def test_one_mask_covers_a_sequence_where_the_plan_says_so():
    model = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 2))
    x = seeded(3, 1, 4).expand(3, 6, 4)
    locked = Plan(rule("0", Bernoulli(rate=0.5, shared="time")))
    draws = predict(model, x, samples=5, plan=locked, keep=True).draws
    torch.testing.assert_close(draws, draws[:, :, :1].expand_as(draws))
    free = predict(model, x, samples=5, plan=Plan(rule("0", Bernoulli(rate=0.5))), keep=True).draws
    assert not torch.allclose(free, free[:, :, :1].expand_as(free))


def test_weights_and_words_are_sampled_too():
    model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 2))
    words = torch.arange(12).view(3, 4) % 10
    for plan in (
        Plan(rule("0", WordDropout(rate=0.3))),
        Plan(rule("1.weight", DropConnect(rate=0.3))),
        Plan(rule("0", WordDropout(rate=0.3)), rule("1.weight", DropConnect(rate=0.3))),
    ):
        plain = predict(model, words, 6, plan=plan, mode="looped", replay=False, keep=True)
        same(predict(model, words, 6, plan=plan, keep=True), plain)


def test_batches_by_name_leave_out_labels_and_a_row_alone_is_enough():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net()

        def forward(self, x, scale):
            return {"logits": self.inner(x) * scale}

    batch = {"x": X[:1], "scale": torch.ones(1, 1), "labels": torch.zeros(1)}
    prediction = predict(Named(), batch, samples=3)
    assert prediction.mean.shape == (1, 3)
    assert prediction.samples == 3
    assert prediction.draws is None


def test_half_precision_is_averaged_in_single():
    prediction = predict(net().bfloat16(), X.bfloat16(), samples=3)
    assert prediction.mean.dtype == torch.float32
    torch.testing.assert_close(prediction.mean.sum(-1), torch.ones(5))


def test_asking_for_what_cannot_be_is_refused():
    with pytest.raises(NoiseError, match="at least 2 samples, got 1"):
        predict(net(), X, samples=1)
    with pytest.raises(NoiseError, match=r"'clasification'[\s\S]*did you mean 'classification'"):
        predict(net(), X, kind="clasification")  # pyright: ignore
    with pytest.raises(ViewError, match=r"torch's own draw[\s\S]*looped"):
        predict(OwnNoise(), X, mode="stacked")
    plan = Plan(rule("lstm.weight_hh_l0", DropConnect(rate=0.5)))
    with pytest.raises(ViewError, match=r"is a weight"):
        predict(Recurrent(), seeded(3, 6, 4), plan=plan, mode="stacked")
    with pytest.raises(ViewError, match=r"rows of this model influence"):
        predict(NOISY["across rows"][0], X, mode="stacked")
    model = net()
    Plan(rule("root", Bernoulli(rate=0.5))).install(model[3])
    with pytest.raises(PlanError, match="'3', a part of the model"):
        predict(model, X)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("mode", ("1", -1, float("nan"), [], "x" * 10_000)),
        ("memory", (-1, float("nan"), float("inf"), 10**400, "1", [], True)),
        ("class_axis", ("1", 1.5, True, 2**70)),
        ("plan", (1, "plan", [])),
        ("samples", (1, 0, -1, True, 2.0, "5", 2**40)),
    ],
)
def test_an_argument_that_cannot_be_is_refused_in_one_sentence(argument, values):
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    for value in values:
        with pytest.raises(DropsmithError, match=argument) as error:
            predict(model, torch.ones(2, 4), **{"samples": 3, argument: value})
        assert len(str(error.value)) < 250
