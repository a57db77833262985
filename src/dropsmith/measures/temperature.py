"""Temperature scaling: one number, fitted on held-out labels, that makes a model less sure."""

from math import exp, log

import torch
from torch import Tensor

from dropsmith.errors import ViewError
from dropsmith.instances import check_type
from dropsmith.measures.items import labelled_items
from dropsmith.numbers import check_number, check_whole

_LEAST, _MOST = 0.01, 100.0


def fit_temperature(
    probabilities: Tensor, labels: Tensor, *, ignore: int = -100, class_axis: int | None = None
) -> float:
    """The temperature under which held-out labels are most likely (Guo et al. 2017).

    Above 1 the model was too sure, below 1 not sure enough. Fit it on the validation set, and
    never on the examples that it is judged by.

    >>> too_sure = torch.tensor([[0.99, 0.01]] * 4)
    >>> temperature = fit_temperature(too_sure, torch.tensor([0, 0, 0, 1]))
    >>> scale_by_temperature(too_sure[0], temperature)  # three of four were right
    tensor([0.7500, 0.2500])

    Args:
        probabilities, labels, ignore, class_axis: as in `labelled_items`.

    Returns:
        A number from 0.01 to 100. Where a model is right on every label, every small temperature is
        as good, and it is one of them.
    """
    from scipy.optimize import minimize_scalar

    likely, truth = labelled_items(probabilities, labels, ignore, class_axis)
    scores = _logarithm(likely.double())

    def negative_log_likelihood(log_temperature: float) -> float:
        scaled = (scores / exp(log_temperature)).log_softmax(-1)
        return -float(scaled.gather(-1, truth[:, None]).mean())

    fit = minimize_scalar(
        negative_log_likelihood,
        bounds=(log(_LEAST), log(_MOST)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return exp(float(fit.x))


def scale_by_temperature(
    probabilities: Tensor, temperature: float, *, class_axis: int = -1
) -> Tensor:
    """Probabilities in which every logarithm is divided by a temperature, so that they sum to 1.

    >>> scale_by_temperature(torch.tensor([0.8, 0.2]), 2.0)
    tensor([0.6667, 0.3333])

    Args:
        probabilities: of classes.
        temperature: of `fit_temperature`.
        class_axis: the dimension of the classes.

    Raises:
        ViewError: the temperature is not a number from 0.01 to 100.
    """
    check_type("probabilities", probabilities, Tensor, "a tensor")
    last = probabilities.ndim - 1
    check_whole("class_axis", class_axis, -last - 1, ViewError, last)
    check_number("temperature", temperature, ViewError, least=_LEAST, most=_MOST)
    scaled = (_logarithm(probabilities) / temperature).softmax(class_axis)
    return scaled.to(probabilities.dtype)


def _logarithm(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()
