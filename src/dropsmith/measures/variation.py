"""The variation ratio: how often samples vote against the majority."""

import torch
from torch import Tensor

from dropsmith.errors import ViewError, excerpt
from dropsmith.prediction import Prediction


def variation_ratio(prediction: Prediction) -> Tensor:
    """The share of samples whose most probable class is not the commonest one (Freeman 1965).

    >>> import dropsmith as ds
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 3))
    >>> variation_ratio(ds.predict(net, torch.randn(2, 4), samples=20, keep=True)).shape
    torch.Size([2])

    Args:
        prediction: of classes or of labels, with its samples: `predict(..., keep=True)`.

    Returns:
        `[batch, ...]`, for labels the shape of the mean. It is 0 where all samples agree.

    Raises:
        ViewError: the samples were not kept, or they are values.
    """
    if not isinstance(prediction, Prediction):
        raise ViewError(f"a variation ratio is of a prediction, got {excerpt(prediction)}")
    if prediction.entropy is None:
        raise ViewError("values have no variation ratio\n  their spread is prediction.variance")
    if prediction.draws is None:
        raise ViewError(
            "the samples of this prediction were not kept\n  keep them: predict(..., keep=True)"
        )
    draws = prediction.draws
    if prediction.kind == "multi_label":
        share = (draws > 0.5).double().mean(0)
        return torch.minimum(share, 1 - share)
    axis = prediction.class_axis if prediction.class_axis is not None else -1
    axis = axis % prediction.mean.ndim
    votes = draws.argmax(axis + 1)
    counts = torch.stack([(votes == number).sum(0) for number in range(draws.shape[axis + 1])])
    return 1 - counts.amax(0).double() / len(draws)
