import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.noise.lookup import find_noise
from dropsmith.passes.view_values import state_of
from dropsmith.patterns import Bernoulli, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction import run_samples
from dropsmith.prediction.run_predict import predict
from dropsmith.prediction.stream import stream_predictions
from dropsmith.tasks import Stream

TEXT = torch.randint(0, 9, (101,), generator=torch.Generator().manual_seed(1))
FEW = {"tokens": TEXT[:14].view(2, 7)}
BOTH = Plan(*lstm_plan("locked", 0.4).rules, *lstm_plan("words", 0.4).rules)
_HELD = ("locked", "weights", "variational", "variational-untied", "awd")
HELD = {noise: lstm_plan(noise, 0.4) for noise in _HELD} | {"both": BOTH}


def net():
    torch.manual_seed(0)
    return SmallLSTM(words=9, width=8)


def carry(output):
    return {"state": state_of(output)}


def read(model, text, samples=6, **settings):
    """The mean scores of all of a stream, `[time, words]` for each of its rows."""
    with stream_predictions(model, FEW, samples, carry, seed=3, **settings) as one:
        parts = [one.read(batch.columns, batch.continues) for batch in text.batches(1)]
    return torch.cat(parts, 1)


@pytest.mark.slow
@pytest.mark.parametrize("window", [7, 35])
@pytest.mark.parametrize("plan", HELD.values(), ids=HELD)
def test_a_sample_reads_a_whole_text_under_one_mask_and_probabilities_are_averaged(plan, window):
    model = net()
    with plan.installed(model, FEW):
        at_once = predict(model, {"tokens": TEXT[None, :-1]}, samples=6, seed=3).mean
        found = read(model, Stream(TEXT, window=window))
    torch.testing.assert_close(found.exp(), at_once, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("plan", HELD.values(), ids=HELD)
def test_how_many_samples_are_stacked_changes_nothing(plan, monkeypatch):
    model, found = net(), []
    with plan.installed(model, FEW):
        for memory in (1, 20_000, 2**24):
            monkeypatch.setattr(run_samples, "MEMORY", memory)
            found.append(read(model, Stream(TEXT, window=20, streams=3)))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5, rtol=1e-4)


def test_rows_have_masks_of_their_own_and_samples_a_state_of_their_own():
    model = net()
    with HELD["locked"].installed(model, FEW):
        alone = [read(model, Stream(TEXT, window=w), samples=1) for w in (10, 100)]
        pair = Stream(torch.cat([TEXT[:51], TEXT[1:51]]), streams=2)
        rows = read(model, pair, samples=1)
    torch.testing.assert_close(*alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(rows[0, :10], rows[1, :10])


def test_a_new_text_starts_from_nothing():
    model = net()
    batch = next(iter(Stream(TEXT).batches(1))).columns
    with HELD["locked"].installed(model, FEW), stream_predictions(model, FEW, 4, carry) as one:
        first, again = (one.read(batch, continues=False) for _ in range(2))
        on = one.read(batch, continues=True)
    assert torch.equal(first, again)
    assert not torch.allclose(first, on)


def test_noise_at_some_kinds_of_sites_can_be_left_out():
    model, text = net(), Stream(TEXT)
    with HELD["both"].installed(model, FEW):
        left_out = read(model, text, without=("words",))
        whole = read(model, text)
    with HELD["locked"].installed(model, FEW):
        never_there = read(model, text)
    torch.testing.assert_close(left_out, never_there)
    assert not torch.allclose(left_out, whole)


def test_leaving_out_what_is_not_there_says_what_is():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    few = {"input": torch.ones(2, 3)}
    plan = Plan(rule("0", Bernoulli(rate=0.5)))
    with (
        plan.installed(model, few),
        pytest.raises(NoiseError, match=r"kind 'words'[\s\S]*kinds are: .*output"),
        stream_predictions(model, few, 2, without=("words",)),
    ):
        pass


def test_values_are_averaged_as_they_are():
    torch.manual_seed(0)
    model, few = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 1)), {"input": torch.randn(5, 3)}
    with Plan(rule("0", Bernoulli(rate=0.5))).installed(model, few):
        with stream_predictions(model, few, 7, kind="regression", seed=2) as one:
            found = one.read(few, continues=False)
        expected = predict(model, few, samples=7, seed=2, kind="regression").mean
    torch.testing.assert_close(found, expected)


def test_an_answer_no_sample_believes_in_keeps_a_finite_logarithm():
    model, few = nn.Sequential(nn.Linear(2, 3), nn.Identity()), {"input": torch.eye(2)}
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([300.0, 0.0, -300.0]))
    plan = Plan(rule("0", Bernoulli(rate=0.0, shared="batch")))
    with plan.installed(model, few), stream_predictions(model, few, 3) as one:
        found = one.read(few, continues=False)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[0], torch.tensor([0.0, -300.0, -600.0]))


def test_a_model_without_noise_is_refused_and_all_is_afterwards_as_it_was():
    model = net().train()
    with (
        pytest.raises(NoiseError, match="every sample would be the same"),
        stream_predictions(model, FEW, 3),
    ):
        pass
    plan = Plan(rule("embedding", WordDropout(rate=0.3)))
    with plan.installed(model, FEW):
        noise = find_noise(model)
        noise.step = 5
        before = [p.clone() for p in model.parameters()]
        read(model, Stream(TEXT))
        assert (find_noise(model), noise.step, model.training) == (noise, 5, True)
        assert all(map(torch.equal, before, model.parameters()))
