"""Forecasts of several steps, against paths followed by hand, sample by sample."""

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError, NoNoiseError
from dropsmith.noise import PREDICTION, ForwardPass, find_noise
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.prediction import forecast, native_plan, predict

X = torch.randn(3, 5, 1, generator=torch.Generator().manual_seed(1))


class Recurrent(nn.Module):
    """The next value at each place, and a state whose rows come second."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.drop = nn.LSTM(1, 8, batch_first=True), nn.Dropout(0.3)
        self.head = nn.Linear(8, 1)

    def forward(self, x, state=None):
        hidden, state = self.lstm(x, state)
        return self.head(self.drop(hidden)), state


def window():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1))


def last(output):
    return output[0][:, -1]


def with_state(output, arguments):
    return {"x": output[0][:, -1:], "state": output[1]}


def moved_on(output, arguments):
    return {"input": torch.cat([arguments["input"][:, 1:], output], 1)}


HELD = Plan(rule("drop", Bernoulli(rate=0.4, shared="time"), axes="batch time unit"))
CASES = {
    "a state": (Recurrent, {"x": X}, with_state, last, None),
    "a mask held over time": (Recurrent, {"x": X}, with_state, last, HELD),
    "the last values": (window, {"input": X[..., 0]}, moved_on, None, None),
}


def by_hand(model, batch, feed, scores, plan, steps, samples):
    """Every sample's path under the library's keys, step by step: `[samples, rows, steps, 1]`."""
    rules = (*native_plan(model, batch).rules, *(plan.rules if plan is not None else ()))
    paths = []
    with Plan(*rules).installed(model, batch), torch.no_grad():
        noise = find_noise(model)
        model.eval()
        for number in range(samples):
            arguments, values = dict(batch), []
            for _ in range(steps):
                one = ForwardPass(
                    views=(number,), domain=PREDICTION, step=0, sampling=True, strata=samples
                )
                with noise.passing(one):
                    output = model(**arguments)
                values.append(output if scores is None else scores(output))
                arguments |= feed(output, arguments)
            paths.append(torch.stack(values, 1))
    return torch.stack(paths)


@pytest.mark.parametrize("memory", [1, 10**8])
@pytest.mark.parametrize("name", CASES)
def test_every_sample_follows_a_path_of_its_own_under_one_mask(name, memory):
    make, batch, feed, scores, plan = CASES[name]
    options = {"plan": plan, "scores": scores, "memory": memory}
    found = forecast(make(), batch, 4, feed, 6, keep=True, **options)
    expected = by_hand(make(), batch, feed, scores, plan, 4, 6)
    assert found.mean.shape == (3, 4, 1)
    torch.testing.assert_close(found.draws, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.mean, expected.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.variance, expected.var(0, correction=0), rtol=1e-3, atol=1e-7)


def test_the_first_step_is_that_of_predict_and_the_model_is_as_it_was():
    model = window().train()
    found = forecast(model, {"input": X[..., 0]}, 3, moved_on, 8, seed=4, draws="independent")
    first = predict(model, X[..., 0], 8, kind="regression", seed=4, draws="independent")
    torch.testing.assert_close(found.mean[:, 0], first.mean)
    torch.testing.assert_close(found.variance[:, 0], first.variance, rtol=1e-4, atol=1e-7)
    assert model.training
    assert all(type(module) in (nn.Linear, nn.Tanh, nn.Dropout) for module in model)


WRONG = {
    "no place of a step": (
        lambda: forecast(Recurrent(), {"x": X}, 2, with_state, 4),
        r"step 2 has values of shape \(\d+, 1, 1\)[\s\S]*step 1 of \(\d+, 5, 1\)[\s\S]*scores=",
    ),
    "a tensor fed": (
        lambda: forecast(window(), {"input": X[..., 0]}, 2, lambda y, a: y, 4),
        r"feed returns the arguments[\s\S]*by name, got",
    ),
    "no function": (
        lambda: forecast(window(), {"input": X[..., 0]}, 2, None, 4),
        "feed makes the arguments of the next step, got None",
    ),
    "no names": (lambda: forecast(window(), X[..., 0], 2, moved_on, 4), "a batch by name"),
    "no step": (lambda: forecast(window(), {"input": X[..., 0]}, 0, moved_on, 4), "steps"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_path_is_refused(name):
    call, message = WRONG[name]
    with pytest.raises(NoiseError, match=message):
        call()


def test_a_model_without_noise_is_refused():
    with pytest.raises(NoNoiseError, match="no dropout and no plan"):
        forecast(nn.Sequential(nn.Linear(5, 1)), {"input": X[..., 0]}, 2, moved_on, 4)
