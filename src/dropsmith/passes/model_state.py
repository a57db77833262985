"""State that a model keeps: every view of a batch starts from it, and that of view 0 is kept."""

from typing import Any

from torch import Tensor, nn

from dropsmith.batches import copy_tensors, tensors_in

_Entries = list[tuple[dict[str, Any], str, Any]]


class ModelState:
    """The tensors in buffers and attributes of modules, but for normalisations over the batch."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.start = _state_of(model)

    def restart(self) -> None:
        """Put the state back as it was when this was made."""
        _put(self.start)

    def now(self) -> "ModelState":
        """The state as it is."""
        return ModelState(self.model)


def _state_of(model: nn.Module) -> _Entries:
    norms = nn.modules.batchnorm._BatchNorm
    return [
        (namespace, name, copy_tensors(value))
        for module in model.modules()
        if not isinstance(module, norms)
        for namespace in (module._buffers, module.__dict__)
        for name, value in namespace.items()
        if not name.startswith("_") and _is_state(value)
    ]


def _is_state(value: Any) -> bool:
    plain = isinstance(value, Tensor | tuple | list)
    return plain and not isinstance(value, nn.Parameter) and bool(tensors_in(value))


def _put(entries: _Entries) -> None:
    for namespace, name, value in entries:
        namespace[name] = copy_tensors(value)
