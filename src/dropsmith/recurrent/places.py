"""The sites inside a recurrent layer, named like torch's names of its weights."""

from collections.abc import Iterator

from torch import nn

from dropsmith.noise import NoiseSlot

BETWEEN, OUTPUT = "between", "output"
_GATES = ("batch", "gate", "time", "unit")
_STATES = ("batch", "time", "unit")
# The name of a place without its layer, and the name that selects it in all layers.
_GROUPS = {
    "input": "inputs",
    "recurrent": "recurrent",
    "hidden_update": "hidden_update",
    "cell_update": "cell_update",
}


def suffixes(module: nn.RNNBase) -> list[str]:
    """`l0`, `l0_reverse`, `l1`, …: the layers and directions in torch's order."""
    directions = ("", "_reverse") if module.bidirectional else ("",)
    return [f"l{layer}{way}" for layer in range(module.num_layers) for way in directions]


def places_of(module: nn.RNNBase) -> tuple[NoiseSlot, ...]:
    """The places of all layers that rules can select; none for a layer with projections."""
    return () if module.proj_size else tuple(_places(module))


def mask_places(module: nn.RNNBase) -> list[str]:
    """The names of the masks that a layer's forward takes."""
    inner = [f"{BETWEEN}_l{layer}" for layer in range(module.num_layers - 1)]
    inside = [place.name for place in _places(module)]
    return [*inside, *inner, OUTPUT, *module._flat_weights_names]


def is_update(place: str) -> bool:
    """Say whether a place is the update of a state, where noise is zoneout."""
    return place.startswith(("hidden_update", "cell_update"))


def is_inside(place: str) -> bool:
    """Say whether a place is inside the recurrence, where torch's own kernels apply no mask."""
    return place.startswith(tuple(f"{name}_l" for name in _GROUPS))


def _places(module: nn.RNNBase) -> Iterator[NoiseSlot]:
    has_cell = isinstance(module, nn.LSTM)
    for suffix in suffixes(module):
        for name, group in _GROUPS.items():
            if name != "cell_update" or has_cell:
                axes = _STATES if is_update(name) else _GATES
                yield NoiseSlot(name=f"{name}_{suffix}", axes=axes, group=group)
