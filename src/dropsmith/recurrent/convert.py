"""From torch's recurrent layers to ours in a finished model, and back.

Ours add nothing to what a layer holds, so a layer changes its class and stays the same object:
its parameters, hooks, names and whoever refers to it never notice.
"""

import warnings

from torch import nn

from dropsmith.errors import SiteError
from dropsmith.kernels import lstm
from dropsmith.noise import inner_noise_of
from dropsmith.recurrent.layers import GRU, LSTM, RNN

_OURS: dict[type[nn.RNNBase], type[nn.RNNBase]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}
_TORCHS = {ours: theirs for theirs, ours in _OURS.items()}


def convert(model: nn.Module) -> tuple[str, ...]:
    """Give every `nn.LSTM`, `nn.GRU` and `nn.RNN` in a model sites for noise inside; their names.

    Outputs, parameters, `state_dict` and optimisers stay as they are. Layers of a class derived
    from torch's by somebody else are left alone, with a warning that names them.

    >>> model = nn.Sequential(nn.LSTM(3, 4))
    >>> convert(model), type(model[0]).__module__
    (('0',), 'dropsmith.recurrent.layers')
    >>> revert(model), type(model[0]) is nn.LSTM
    (('0',), True)

    Raises:
        SiteError: the model has no such layer.
    """
    found = _change(model, _OURS)
    if not found:
        raise SiteError(
            f"this {type(model).__name__} has no nn.LSTM, nn.GRU or nn.RNN to convert"
            + _instead(model)
        )
    if derived := _derived(model):
        warnings.warn(f"left alone, of classes of their own: {derived}", stacklevel=2)
    return found


def revert(model: nn.Module) -> tuple[str, ...]:
    """Undo `convert`: every layer of ours is torch's again; their names.

    Raises:
        SiteError: a plan has noise inside such a layer; it has to be removed first.
    """
    for name, module in model.named_modules():
        if type(module) in _TORCHS and inner_noise_of(module):
            raise SiteError(
                f"a plan has noise inside {name or 'root'!r}\n  remove it first: plan.remove(model)"
            )
    found = _change(model, _TORCHS)
    for module in model.modules():
        if type(module) is nn.LSTM and isinstance(vars(module).get("kernel"), lstm.Triton):
            del module.kernel
    return found


def _change(model: nn.Module, classes: dict[type[nn.RNNBase], type[nn.RNNBase]]) -> tuple[str, ...]:
    found = [(name, module) for name, module in model.named_modules() if type(module) in classes]
    for _, module in found:
        module.__class__ = classes[type(module)]  # pyright: ignore
    return tuple(name or "root" for name, _ in found)


def _instead(model: nn.Module) -> str:
    if any(isinstance(m, tuple(_TORCHS)) for m in model.modules()):
        return "\n  its recurrent layers are dropsmith's already"
    derived = _derived(model)
    return f"\n  left alone, of classes of their own: {derived}" if derived else ""


def _derived(model: nn.Module) -> str:
    """Recurrent layers of classes that are neither torch's nor ours."""
    known = (*_OURS, *_TORCHS)
    layers = [(name or "root", m) for name, m in model.named_modules()]
    others = [(name, m) for name, m in layers if isinstance(m, nn.RNNBase) and type(m) not in known]
    return ", ".join(f"{name} ({type(module).__name__})" for name, module in others)
