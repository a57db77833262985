"""Intervals in which new values lie, from the moments of a prediction or from its quantiles."""

from math import isclose

import torch
from torch import Tensor

from dropsmith.errors import NoiseError, excerpt
from dropsmith.numbers import check_number


def normal_interval(
    kind: str, mean: Tensor, variance: Tensor, data_variance: float | Tensor | None, level: float
) -> tuple[Tensor, Tensor]:
    """The interval of a normal distribution whose variance is that of model and data together.

    >>> normal_interval("gaussian", torch.zeros(1), torch.full((1,), 0.6), 0.4, 0.95)
    (tensor([-1.9600]), tensor([1.9600]))

    Raises:
        NoiseError: the outputs are no values, or nothing says how large the noise in the data is.
    """
    _check_level(level)
    if kind not in ("regression", "gaussian"):
        raise NoiseError(
            f"an interval is of values, and this prediction is of kind {kind!r}\n"
            "  read its probabilities: prediction.mean"
        )
    if data_variance is None:
        raise NoiseError(
            "an interval for new values takes the variance of the noise in the data, which a "
            "model of regression does not predict\n"
            "  give it: interval(0.95, data_variance=...), 0 for an interval of the mean alone; or "
            'train a model that predicts it, and type kind="gaussian"'
        )
    if not isinstance(data_variance, Tensor):
        check_number("data_variance", data_variance, NoiseError)
    place = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)).item()
    half = place * (variance + data_variance).sqrt()
    return mean - half, mean + half


def quantile_interval(
    mean: Tensor, axis: int | None, quantiles: tuple[float, ...], level: float
) -> tuple[Tensor, Tensor]:
    """The mean quantiles that a share of new values lies between.

    Raises:
        NoiseError: the model does not predict these quantiles.
    """
    _check_level(level)
    assert axis is not None
    order = torch.tensor(quantiles).argsort()
    # Quantiles that cross are put in order: no farther from the true ones, in any distance.
    ordered = mean.sort(axis).values
    ends: list[Tensor] = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        places = [
            place
            for place, index in enumerate(order.tolist())
            if isclose(quantiles[index], share, abs_tol=1e-6)
        ]
        if not places:
            listed = ", ".join(f"{quantile:g}" for quantile in quantiles)
            raise NoiseError(
                f"an interval of level {level:g} lies between the quantiles {(1 - level) / 2:g} "
                f"and {(1 + level) / 2:g}, and the model predicts {listed}"
            )
        ends.append(ordered.select(axis, places[0]))
    return ends[0], ends[1]


def _check_level(level: object) -> None:
    is_level = isinstance(level, float) and 0 < level < 1
    if not is_level:
        raise NoiseError(
            f"the level of an interval is a number between 0 and 1, got {excerpt(level)}"
        )
