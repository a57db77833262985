"""A recurrent layer of Keras as one of torch's, with the same weights and the same noise."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from dropsmith.errors import SiteError, excerpt
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, Rule, rule
from dropsmith.recurrent.layers import GRU, LSTM, RNN

_LAYERS: Mapping[str, tuple[type[nn.RNNBase], tuple[int, ...]]] = {
    "LSTM": (LSTM, (0, 1, 2, 3)),
    "GRU": (GRU, (1, 0, 2)),
    "SimpleRNN": (RNN, (0,)),
}
"""The layer for each class of Keras, and where the gates of torch stand in Keras's order."""

_KINDS = "carried over are LSTM, GRU, SimpleRNN, and Bidirectional around one of them"


class KerasLayer(NamedTuple):
    """A layer of Keras, carried over.

    Args:
        layer: with its weights, `batch_first`; its output is that of `return_sequences=True`.
        plan: its noise, to install on the layer or on a model that holds it.
    """

    layer: nn.RNNBase
    plan: Plan


def from_keras(layer: Any, name: str = "root") -> KerasLayer:
    """Carry weights and noise of a recurrent layer of Keras 3 over to a layer of torch.

    For `LSTM`, `GRU` (with `reset_after`), `SimpleRNN`, and `Bidirectional` around one of them that
    joins both directions. `recurrent_dropout` becomes a mask for each gate on the state, and
    `dropout` one on the input: for all gates, or where both are there, for each gate.

    At the padding behind a short row, Keras repeats the last output, and torch gives zeros for
    packed sequences.

    Args:
        layer: of Keras, built: called once, or by its `build`.
        name: of the layer in the model on which the plan will be installed, such as `lstm`.

    Returns:
        The layer and the plan: `layer, plan = from_keras(...)`, then `plan.install(layer, batch)`.

    Raises:
        SiteError: torch has no such layer; the message names the setting of Keras that it lacks.
    """
    kind = type(layer).__name__
    if kind != "Bidirectional":
        config = _config_of(layer)
        _refuse(config, go_backwards="read the sequence backwards yourself: x.flip(1)")
        return _carried(kind, [config], [_weights_of(layer, config)], name)
    mode = getattr(layer, "merge_mode", None)
    if mode != "concat":
        raise SiteError(
            f"Bidirectional with merge_mode={excerpt(mode)} cannot be carried over: torch "
            'joins both directions\n  type merge_mode="concat" and merge the output yourself'
        )
    layers = [layer.forward_layer, layer.backward_layer]
    kinds = {type(part).__name__ for part in layers}
    configs = [_config_of(part) for part in layers]
    same = ("units", "use_bias", "activation", "dropout", "recurrent_dropout")
    if len(kinds) > 1 or any(configs[0].get(key) != configs[1].get(key) for key in same):
        raise SiteError(
            "the two layers of this Bidirectional differ, and torch has one kind for both\n"
            "  carry them over one by one: from_keras(layer.forward_layer)"
        )
    weights = [_weights_of(*pair) for pair in zip(layers, configs, strict=True)]
    return _carried(kinds.pop(), configs, weights, name)


def _config_of(layer: Any) -> dict[str, Any]:
    """The settings of one layer.

    Raises:
        SiteError: it is none of Keras's, or one that torch does not have.
    """
    kind = type(layer).__name__
    if kind not in _LAYERS or not callable(getattr(layer, "get_config", None)):
        raise SiteError(f"{kind} is not a recurrent layer of Keras that torch has\n  {_KINDS}")
    config = layer.get_config()
    activations = {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)}
    if kind == "SimpleRNN":
        activations = {"activation": ("tanh", "relu")}
    for key, names in activations.items():
        if config.get(key) not in names:
            raise SiteError(
                f"{kind} with {key}={excerpt(config.get(key))} cannot be carried over: torch's has "
                f"{' or '.join(names)}"
            )
    if kind == "GRU" and not config.get("reset_after"):
        raise SiteError(
            "GRU with reset_after=False cannot be carried over: torch resets the state after "
            "its product with the weight\n  train it again with reset_after=True, Keras's default"
        )
    _refuse(config, stateful="give the state to each call: layer(x, state)")
    return config


def _refuse(config: Mapping[str, Any], **settings: str) -> None:
    for setting, advice in settings.items():
        if config.get(setting):
            raise SiteError(
                f"{setting}=True cannot be carried over: torch's layers have none\n  {advice}"
            )


def _weights_of(layer: Any, config: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
    weights = [np.asarray(weight, np.float32) for weight in layer.get_weights()]
    if len(weights) != (3 if config["use_bias"] else 2):
        raise SiteError(
            f"the {type(layer).__name__} has no weights yet: Keras makes them at the first call\n"
            "  call it on a batch once, or layer.build((None, None, features))"
        )
    return weights


def _carried(
    kind: str,
    configs: Sequence[Mapping[str, Any]],
    weights: Sequence[list[np.ndarray[Any, Any]]],
    name: str,
) -> KerasLayer:
    config, (make, order) = configs[0], _LAYERS[kind]
    units = int(config["units"])
    settings: dict[str, Any] = {
        "bias": bool(config["use_bias"]),
        "batch_first": True,
        "bidirectional": len(configs) > 1,
    }
    if kind == "SimpleRNN":
        settings["nonlinearity"] = config["activation"]
    build: Any = make
    module = build(len(weights[0][0]), units, **settings)

    def gates(values: np.ndarray[Any, Any]) -> torch.Tensor:
        blocks = np.split(values, len(order))
        return torch.from_numpy(np.concatenate([blocks[place] for place in order]))

    with torch.no_grad():
        for suffix, parts in zip(("l0", "l0_reverse"), weights, strict=False):
            for parameter, values in _parameters(kind, parts):
                getattr(module, f"{parameter}_{suffix}").copy_(gates(values))
    return KerasLayer(module, Plan(*_rules(kind, config, name)))


def _parameters(
    kind: str, parts: list[np.ndarray[Any, Any]]
) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Torch's parameters by name, their gates still in Keras's order."""
    kernel, recurrent, *biases = parts
    found = [("weight_ih", kernel.T), ("weight_hh", recurrent.T)]
    for bias in biases:
        # A GRU has two biases; of the others Keras has the sum of torch's.
        of_input, of_state = bias if kind == "GRU" else (bias, np.zeros_like(bias))
        found += [("bias_ih", of_input), ("bias_hh", of_state)]
    return found


def _rules(kind: str, config: Mapping[str, Any], name: str) -> list[Rule]:
    of_input, of_state = (_rate(kind, config, key) for key in ("dropout", "recurrent_dropout"))
    rules = []
    if of_state:
        rules.append(rule(f"{name}.recurrent", Bernoulli(rate=of_state, shared="time")))
    if of_input:
        shared = "time" if of_state else "time gate"
        rules.append(rule(f"{name}.inputs", Bernoulli(rate=of_input, shared=shared)))
    return rules


def _rate(kind: str, config: Mapping[str, Any], key: str) -> float:
    rate = float(config.get(key) or 0.0)
    if rate >= 1:
        raise SiteError(
            f"{kind} with {key}={rate:g} cannot be carried over: Keras drops nothing or "
            f"everything at that rate, by the kind of layer\n  type {key}=0.0, or a rate below 1"
        )
    return rate
