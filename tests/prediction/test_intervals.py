"""Intervals for new values, by the normal distribution and by quantiles."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import norm

from dropsmith.errors import NoiseError
from dropsmith.prediction import one_pass, predict
from prediction.noisy import net, seeded

X = seeded(5, 4)


def gaussian(**change):
    def first(y):
        return y[..., :1]

    def last(y):
        return y[..., 1:2]

    found = predict(net(), X, 9, kind="gaussian", scores={"mean": first, "log_variance": last})
    return replace(found, **change)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_ends_are_those_of_the_normal_distribution(level):
    found = gaussian()
    lower, upper = found.interval(level)
    deviation = (found.variance + found.data_variance).double().sqrt().numpy()
    expected = norm.interval(level, found.mean.double().numpy(), deviation)
    assert lower.numpy() == pytest.approx(expected[0], rel=1e-5)
    assert upper.numpy() == pytest.approx(expected[1], rel=1e-5)


def test_new_values_lie_in_it_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    found = gaussian()
    lower, upper = found.interval(0.9)
    # The samples of the model, and the noise that each predicts.
    kept = predict(
        net(),
        X,
        4000,
        kind="gaussian",
        keep=True,
        scores={"mean": lambda y: y[..., :1], "log_variance": lambda y: y[..., 1:2]},
    )
    noise = torch.randn(kept.draws.shape, generator=generator)
    values = kept.draws + noise * kept.data_draws.sqrt()
    share = ((values > lower) & (values < upper)).double().mean()
    assert float(share) == pytest.approx(0.9, abs=0.03)


def test_regression_takes_the_noise_in_the_data_from_who_knows_it():
    found = predict(net(), X, 9, kind="regression")
    with pytest.raises(NoiseError, match=r"does not predict[\s\S]*data_variance=\.\.\."):
        found.interval(0.9)
    narrow, wide = found.interval(0.9, data_variance=0), found.interval(0.9, data_variance=1.0)
    assert (wide[0] < narrow[0]).all()
    expected = norm.ppf(0.95) * (found.variance + 1).sqrt()
    torch.testing.assert_close(wide[1], found.mean + expected)


def test_probabilities_have_no_interval():
    with pytest.raises(NoiseError, match="of kind 'classification'"):
        predict(net(), X, 4).interval(0.9)
    with pytest.raises(NoiseError, match="of kind 'multi_label'"):
        one_pass(torch.zeros(2, 3), "multi_label").interval(0.9)


@pytest.mark.parametrize("level", [0, 1, 1.0, "0.9", None, True])
def test_a_level_is_a_share(level):
    with pytest.raises(NoiseError, match="between 0 and 1"):
        gaussian().interval(level)


def test_quantiles_are_the_ends_and_are_put_in_order():
    found = predict(net(), X, 9, kind="quantile", quantiles=(0.95, 0.05, 0.5))
    lower, upper = found.interval(0.9)
    ordered = found.mean.sort(-1).values
    assert torch.equal(lower, ordered[:, 0])
    assert torch.equal(upper, ordered[:, 2])
    with pytest.raises(NoiseError, match=r"0.1 and 0.9, and the model predicts 0.95, 0.05, 0.5"):
        found.interval(0.8)
