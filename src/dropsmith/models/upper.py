"""Where the upper half of a model's layers begins, which several views need not share."""

from torch import nn


def upper_half(model: nn.Module) -> str | None:
    """The name of the middle layer of a model's longest stack; None where it has no stack.

    A stack is a list of at least two modules of one class. Of equally long ones it is the last: in
    an encoder-decoder that of the decoder, so that the encoder is below.

    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> upper_half(nn.TransformerEncoder(layer, 4))
    'layers.2'
    >>> upper_half(nn.Sequential(nn.Linear(3, 3), nn.ReLU())) is None
    True
    """
    found = [
        (name, len(module))
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList | nn.Sequential) and _stacked(module)
    ]
    if not found:
        return None
    name, count = max(reversed(found), key=lambda one: one[1])
    return f"{name}.{count // 2}" if name else str(count // 2)


def _stacked(module: nn.ModuleList | nn.Sequential) -> bool:
    return len(module) > 1 and len({type(one) for one in module}) == 1
