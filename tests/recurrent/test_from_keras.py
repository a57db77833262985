"""Layers of Keras keep their outputs and their noise; what torch does not have is refused."""

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dropsmith.errors import SiteError
from dropsmith.passes import audit
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.recurrent import from_keras

BATCH, TIME, FEATURES, UNITS = 3, 6, 5, 4


def stub(kind: str, bias: bool = True, **settings: Any) -> Any:
    """What `from_keras` reads of a layer of Keras 3, where Keras is not installed."""
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}.get(kind, 1)
    generator = np.random.default_rng(gates)
    config = {"units": UNITS, "use_bias": bias, "activation": "tanh"}
    config |= {"recurrent_activation": "sigmoid", "reset_after": True} | settings
    width = gates * UNITS
    shapes = [(FEATURES, width), (UNITS, width)]
    shapes += [(2, width) if kind == "GRU" else (width,)] if bias else []
    weights = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    layer = type(kind, (SimpleNamespace,), {})()
    layer.get_config, layer.get_weights = lambda: config, lambda: weights
    return layer


def by_equations(kind: str, layer: Any, x: Tensor) -> np.ndarray:
    """The outputs of all steps by the equations in Keras's documentation, in NumPy."""
    kernel, recurrent, *biases = layer.get_weights()
    bias = biases[0] if biases else np.zeros((2, kernel.shape[1]) if kind == "GRU" else 1)
    hidden, cell = np.zeros((2, len(x), UNITS), np.float32)
    outputs = []

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    for step in x.numpy().swapaxes(0, 1):
        if kind == "GRU":
            inputs = np.split(step @ kernel + bias[0], 3, 1)
            states = np.split(hidden @ recurrent + bias[1], 3, 1)
            update, reset = (sigmoid(a + b) for a, b in zip(inputs[:2], states[:2], strict=True))
            new = np.tanh(inputs[2] + reset * states[2])
            hidden = update * hidden + (1 - update) * new
        elif kind == "LSTM":
            enter, forget, new, leave = np.split(step @ kernel + hidden @ recurrent + bias, 4, 1)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(leave) * np.tanh(cell)
        else:
            z = step @ kernel + hidden @ recurrent + bias
            relu = layer.get_config()["activation"] == "relu"
            hidden = np.maximum(z, 0) if relu else np.tanh(z)
        outputs.append(hidden)
    return np.stack(outputs, 1)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(BATCH, TIME, FEATURES, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [("LSTM", {}), ("GRU", {}), ("SimpleRNN", {}), ("SimpleRNN", {"activation": "relu"})],
)
def test_a_layer_computes_the_equations_of_keras(kind, settings, bias, x):
    layer = stub(kind, bias, **settings)
    carried, plan = from_keras(layer)
    np.testing.assert_allclose(
        carried(x)[0].detach(), by_equations(kind, layer, x), rtol=1e-4, atol=1e-5
    )
    assert plan == Plan()


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"recurrent_dropout": 0.3}, [("recurrent", 0.3, "time")]),
        ({"dropout": 0.2}, [("inputs", 0.2, "time gate")]),
        (
            {"dropout": 0.2, "recurrent_dropout": 0.3},
            [("recurrent", 0.3, "time"), ("inputs", 0.2, "time")],
        ),
    ],
)
def test_rates_become_rules_on_the_state_and_the_input(rates, expected, x):
    layer, plan = from_keras(stub("LSTM", **rates), "encoder")
    rules = [rule(f"encoder.{s}", Bernoulli(rate=r, shared=a)) for s, r, a in expected]
    assert plan == Plan(*rules)
    model = Model(layer)
    with plan.installed(model.train(), x):
        names = {row.site.name for row in audit(model, x).rows if row.on}
    assert names == {f"encoder.{site.rstrip('s')}_l0" for site, _, _ in expected}


class Model(torch.nn.Module):
    """A layer under a name."""

    def __init__(self, encoder: torch.nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)[0]


def both_ways(forward: Any, backward: Any, mode: str | None = "concat") -> Any:
    layer = type("Bidirectional", (SimpleNamespace,), {})()
    layer.forward_layer, layer.backward_layer, layer.merge_mode = forward, backward, mode
    return layer


def test_both_directions_are_one_layer(x):
    forward, backward = stub("GRU"), stub("GRU", go_backwards=True)
    other = [weight + 0.1 for weight in backward.get_weights()]
    backward.get_weights = lambda: other
    layer, _ = from_keras(both_ways(forward, backward))
    found = layer(x)[0].detach()
    expected = np.concatenate(
        [by_equations("GRU", forward, x), by_equations("GRU", backward, x.flip(1))[:, ::-1]], -1
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (stub("GRU", reset_after=False), "reset_after=False cannot be carried over"),
        (
            stub("LSTM", activation="relu"),
            "activation='relu' cannot be carried over: torch's has tanh",
        ),
        (stub("GRU", recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (stub("SimpleRNN", activation="elu"), "torch's has tanh or relu"),
        (stub("LSTM", stateful=True), "stateful=True cannot be carried over"),
        (stub("LSTM", go_backwards=True), "go_backwards=True cannot be carried over"),
        (stub("LSTM", dropout=1.0), "dropout=1 cannot be carried over"),
        (stub("ConvLSTM2D"), "ConvLSTM2D is not a recurrent layer of Keras that torch has"),
        (torch.nn.LSTM(2, 3), "LSTM is not a recurrent layer of Keras"),
        (3, "int is not a recurrent layer"),
        (both_ways(stub("LSTM"), stub("LSTM"), "sum"), "merge_mode='sum'"),
        (both_ways(stub("LSTM"), stub("GRU")), "the two layers of this Bidirectional differ"),
        (
            both_ways(stub("LSTM", dropout=0.1), stub("LSTM", dropout=0.2)),
            "the two layers of this Bidirectional differ",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_torch_does_not_have_is_refused(layer, sentence):
    with pytest.raises(SiteError, match=sentence.replace("(", r"\(")):
        from_keras(layer)


def test_a_layer_without_weights_says_how_to_make_them():
    layer = stub("LSTM")
    layer.get_weights = list
    with pytest.raises(SiteError, match="has no weights yet"):
        from_keras(layer)


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it when it is imported
    return pytest.importorskip("keras", reason="needs the extra bench")


def recorded(layer: Any, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The output of a layer in training, and the masks that its cell drew."""
    masks: dict[str, Any] = {}
    for name in ("get_dropout_mask", "get_recurrent_dropout_mask"):
        draw = getattr(layer.cell, name)

        def noted(like: Any, name: str = name, draw: Any = draw) -> Any:
            masks[name] = draw(like)
            return masks[name]

        setattr(layer.cell, name, noted)
    output = layer(x, training=True)
    return output.detach(), masks


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rates", [(0.0, 0.4), (0.4, 0.0), (0.3, 0.4)], ids=str)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_masks_of_keras_do_to_its_layer_what_they_do_to_ours(keras, kind, rates, x):
    kwargs = {"dropout": rates[0], "recurrent_dropout": rates[1], "return_sequences": True}
    layer = getattr(keras.layers, kind)(UNITS, **kwargs)
    expected, drawn = recorded(layer, x)
    carried, plan = from_keras(layer)
    order = (1, 0, 2) if kind == "GRU" else range(carried.weight_ih_l0.shape[0] // UNITS)
    masks = {}
    for name, place in (
        ("get_dropout_mask", "input_l0"),
        ("get_recurrent_dropout_mask", "recurrent_l0"),
    ):
        of_gates = drawn.get(name)
        if of_gates is None:
            continue
        of_gates = of_gates if isinstance(of_gates, list) else [of_gates]
        several = [of_gates[i] for i in order] if len(of_gates) > 1 else of_gates
        masks[place] = torch.stack([mask.detach() for mask in several], 1)[:, :, None]
    assert len(masks) == len(plan.rules)
    torch.testing.assert_close(carried(x, masks=masks)[0].detach(), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_bidirectional_layer_of_keras_keeps_its_outputs(keras, x):
    layer = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))
    expected = layer(x).detach()
    torch.testing.assert_close(
        from_keras(layer).layer(x)[0].detach(), expected, rtol=1e-5, atol=2e-6
    )
