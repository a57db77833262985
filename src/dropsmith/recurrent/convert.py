"""Conversion of torch's recurrent layers in a model to layers with sites inside, and back.

The layers of dropsmith have no further state, so a layer changes its class and stays the same
object, with its parameters, hooks and names.
"""

import warnings

from torch import nn

from dropsmith.errors import SiteError
from dropsmith.instances import check_model
from dropsmith.kernels import lstm
from dropsmith.noise import inner_noise_of
from dropsmith.recurrent.layers import GRU, LSTM, RNN

_FROM_TORCH: dict[type[nn.RNNBase], type[nn.RNNBase]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}
_TO_TORCH = {layer: native for native, layer in _FROM_TORCH.items()}


def convert(model: nn.Module) -> tuple[str, ...]:
    """Give every `nn.LSTM`, `nn.GRU` and `nn.RNN` in a model sites inside its recurrence.

    Returns the names of the layers.

    Outputs, parameters, `state_dict` and optimisers do not change. Layers of other classes derived
    from torch's are not converted, and a warning names them.

    >>> model = nn.Sequential(nn.LSTM(3, 4))
    >>> convert(model), type(model[0]).__module__
    (('0',), 'dropsmith.recurrent.layers')
    >>> revert(model), type(model[0]) is nn.LSTM
    (('0',), True)

    Raises:
        SiteError: the model has no such layer.
    """
    check_model(model)
    names = _change(model, _FROM_TORCH)
    if not names:
        raise SiteError(
            f"this {type(model).__name__} has no nn.LSTM, nn.GRU or nn.RNN to convert"
            + _instead(model)
        )
    if foreign := _foreign_layers(model):
        warnings.warn(f"not converted, because of a derived class: {foreign}", stacklevel=2)
    return names


def revert(model: nn.Module) -> tuple[str, ...]:
    """Undo `convert`, and return the names of the layers.

    Raises:
        SiteError: a plan has noise inside such a layer; remove it first.
    """
    check_model(model)
    for name, module in model.named_modules():
        if type(module) in _TO_TORCH and inner_noise_of(module):
            raise SiteError(
                f"a plan has noise inside {name or 'root'!r}\n  remove it first: plan.remove(model)"
            )
    names = _change(model, _TO_TORCH)
    for module in model.modules():
        if type(module) is nn.LSTM and isinstance(vars(module).get("kernel"), lstm.Triton):
            del module.kernel
    return names


def _change(model: nn.Module, classes: dict[type[nn.RNNBase], type[nn.RNNBase]]) -> tuple[str, ...]:
    layers = [(name, module) for name, module in model.named_modules() if type(module) in classes]
    for _, module in layers:
        module.__class__ = classes[type(module)]  # pyright: ignore
    return tuple(name or "root" for name, _ in layers)


def _instead(model: nn.Module) -> str:
    if any(isinstance(m, tuple(_TO_TORCH)) for m in model.modules()):
        return "\n  its recurrent layers are converted already"
    foreign = _foreign_layers(model)
    return f"\n  not converted, because of a derived class: {foreign}" if foreign else ""


def _foreign_layers(model: nn.Module) -> str:
    """Recurrent layers of classes that are neither torch's nor dropsmith's."""
    classes = (*_FROM_TORCH, *_TO_TORCH)
    layers = [(name or "root", m) for name, m in model.named_modules()]
    others = [
        (name, m) for name, m in layers if isinstance(m, nn.RNNBase) and type(m) not in classes
    ]
    return ", ".join(f"{name} ({type(module).__name__})" for name, module in others)
