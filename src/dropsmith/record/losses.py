"""The losses among the numbers of a run."""

from collections.abc import Mapping

from dropsmith.errors import DataError

LOSSES = ("nll", "mse")
"""The losses by which weights and settings are chosen on validation: the negative log-likelihood of
classes, the mean squared error of values."""


def validation_loss_name(numbers: Mapping[str, float]) -> str | None:
    """The one of the `LOSSES` that a run's numbers hold for validation; None where there is none.

    >>> validation_loss_name({"validation_mse": 0.1, "validation_rmse": 0.3})
    'mse'
    """
    return next((name for name in LOSSES if f"validation_{name}" in numbers), None)


def validation_loss(numbers: Mapping[str, float]) -> float:
    """The validation loss among the numbers of a run; `DataError` where there is none.

    >>> validation_loss({"validation_nll": 0.25, "validation_accuracy": 0.9})
    0.25
    """
    name = validation_loss_name(numbers)
    if name is None:
        raise DataError(
            f"no validation loss among: {', '.join(numbers) or 'no numbers'}\n"
            f"  looked for: {', '.join(f'validation_{name}' for name in LOSSES)}"
        )
    return numbers[f"validation_{name}"]
