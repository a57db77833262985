"""Every torch function of the table is decoded as torch itself understands its arguments."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.overrides import TorchFunctionMode

from dropsmith.interception.flex_attention import FLEX
from dropsmith.interception.signatures import SIGNATURES
from dropsmith.interception.torch_ops import decode
from noise.zoo import seeded

X = seeded(3, 4, 5, 6)
PYTHON = [
    F.dropout,
    F.dropout1d,
    F.dropout2d,
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
]
BUILTIN = [
    *(torch.dropout, torch.dropout_, torch.feature_dropout, torch.feature_dropout_),
    *(torch.alpha_dropout, torch.alpha_dropout_),
    *(torch.feature_alpha_dropout, torch.feature_alpha_dropout_),
]
RECURRENT = [torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu]
GATES = {torch.lstm: 4, torch.gru: 3, torch.rnn_tanh: 1, torch.rnn_relu: 1}
OTHERS = [F.scaled_dot_product_attention, F.multi_head_attention_forward, FLEX]


def test_the_tests_below_are_of_every_entry():
    assert set(PYTHON + BUILTIN + RECURRENT + OTHERS) == set(SIGNATURES)


def values(call):
    return call.rate, call.training, call.inplace


@pytest.mark.parametrize("function", PYTHON)
def test_functional_dropout_is_decoded_however_it_is_called(function):
    usual = inspect.signature(function).parameters
    x = X[0] if function is F.dropout1d else X
    defaults = usual["p"].default, usual["training"].default, usual["inplace"].default
    assert values(decode(function, (x,))) == defaults
    assert values(decode(function, (x, 0.3, False, True))) == (0.3, False, True)
    by_name = {"input": x, "p": 0.2, "training": True, "inplace": False}
    assert values(decode(function, (), by_name)) == (0.2, True, False)
    assert decode(function, (), by_name).input is x
    assert list(usual) == list(decode(function, (x,)).signature.names)


@pytest.mark.parametrize("function", BUILTIN)
@pytest.mark.parametrize("train", [True, False])
def test_builtin_dropout_is_decoded_and_does_in_place_what_it_says(function, train):
    x = X.abs() + 1
    given = x.clone()
    for args, kwargs in (((given, 0.4, train), {}), ((given,), {"p": 0.4, "train": train})):
        call = decode(function, args, kwargs)
        assert values(call)[:2] == (0.4, train)
        assert call.input is given
    output = call.run()
    assert not train or call.inplace == (output is given)
    assert torch.equal(given, x) == (not train or not call.inplace)


@pytest.mark.parametrize("function", [*PYTHON, *BUILTIN])
def test_a_call_at_another_rate_drops_at_that_rate(function):
    x = torch.ones(40, 40, 3, 2, 2)
    if function is F.dropout1d:
        x = x.flatten(2)
    elif function is F.dropout2d:
        x = x.flatten(3)
    call = decode(function, (x, 0.9, True))
    output = call.run_at(0.25)
    first = output.flatten(2)[..., 0]
    dropped = (first == first.min()).double().mean().item()
    assert abs(dropped - 0.25) < 5 * (0.25 * 0.75 / 1600) ** 0.5
    assert torch.equal(decode(function, (x, 0.9, True)).run_at(0.25, training=False), x)


def recurrent_arguments(function, packed):
    gates = GATES[function]
    x, state = seeded(4, 3, 5), torch.zeros(2, 3, 5)
    state = (state, state) if function is torch.lstm else state
    weights = [seeded(gates * 5, 5, seed=seed) * 0.3 for seed in range(4)]
    if packed:
        packed = pack_padded_sequence(x, [4, 2, 1])
        return {"data": packed.data, "batch_sizes": packed.batch_sizes, "hx": state,
                "params": weights, "has_biases": False, "num_layers": 2, "dropout": 0.3,
                "train": True, "bidirectional": False}  # fmt: skip
    return {
        "input": x,
        "hx": state,
        "params": weights,
        "has_biases": False,
        "num_layers": 2,
        "dropout": 0.3,
        "train": True,
        "bidirectional": False,
        "batch_first": False,
    }


@pytest.mark.parametrize("function", RECURRENT)
@pytest.mark.parametrize("packed", [False, True])
def test_recurrent_calls_are_decoded_as_torch_takes_them(function, packed):
    named = recurrent_arguments(function, packed)
    for call in (decode(function, tuple(named.values())), decode(function, (), named)):
        assert (call.operation, call.kind, call.rate, call.training) == (
            "recurrent",
            "between",
            0.3,
            True,
        )
        assert list(call.arguments) == list(named)
        assert all(call.arguments[name] is value for name, value in named.items())
    torch.manual_seed(1)
    want = function(*named.values())[0]
    torch.manual_seed(1)
    assert torch.equal(call.run()[0], want)
    assert torch.equal(call.run_at(0.0)[0], function(*(named | {"dropout": 0.0}).values())[0])


def test_fused_attention_is_decoded_by_position_by_name_and_with_its_defaults():
    q = seeded(2, 4, 5, 8)
    mask, names = (
        torch.zeros(5, 5),
        ["query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"],
    )
    call = decode(F.scaled_dot_product_attention, (q, q, q))
    rest = {
        "attn_mask": None,
        "dropout_p": 0.0,
        "is_causal": False,
        "scale": None,
        "enable_gqa": False,
    }
    assert {name: call.arguments[name] for name in names[3:]} == rest
    assert (call.kind, call.rate, call.training, call.inplace) == ("attention", 0.0, True, False)
    call = decode(F.scaled_dot_product_attention, (q, q, q, mask, 0.2), {"scale": 0.7})
    assert (call.rate, call.arguments["attn_mask"] is mask, call.arguments["scale"]) == (
        0.2,
        True,
        0.7,
    )
    torch.manual_seed(1)
    want = F.scaled_dot_product_attention(q, q, q, mask, 0.2, scale=0.7)
    torch.manual_seed(1)
    assert torch.equal(call.run_at(0.2), want)
    by_name = dict(zip(names, (q, q, q, mask, 0.0, False, 0.5, False), strict=True))
    call = decode(F.scaled_dot_product_attention, (), by_name)
    assert all(call.arguments[name] is value for name, value in by_name.items())
    assert torch.equal(call.run(), F.scaled_dot_product_attention(**by_name))


def test_multi_head_attention_is_decoded_with_the_defaults_of_torch():
    usual = inspect.signature(F.multi_head_attention_forward).parameters
    x, w, out = seeded(5, 3, 8), seeded(24, 8), seeded(8, 8)
    call = decode(
        F.multi_head_attention_forward,
        (x, x, x, 8, 2, w, None, None, None, False, 0.3, out, None),
        {"training": False},
    )
    assert list(call.signature.names) == list(usual)
    for name, parameter in usual.items():
        if parameter.default is not inspect.Parameter.empty and name != "training":
            assert call.arguments[name] is parameter.default, name
    assert (call.kind, call.rate, call.training, call.arguments["num_heads"]) == (
        "attention",
        0.3,
        False,
        2,
    )


def test_the_operator_of_flex_attention_is_decoded_with_the_order_of_torch():
    from torch._higher_order_ops.flex_attention import FlexAttentionHOP

    names = list(inspect.signature(FlexAttentionHOP.__call__).parameters)[1:]
    assert list(SIGNATURES[FLEX].names) == names
    call = decode(FLEX, tuple(range(7)))
    assert (call.kind, call.rate, call.arguments["mask_mod_other_buffers"]) == (
        "attention",
        0.0,
        (),
    )


def test_other_calls_are_no_noisy_ones():
    for function in (torch.relu, F.linear, torch.Tensor.add, torch.ops.aten.add):
        assert decode(function, (X,)) is None


def test_calls_are_seen_as_a_mode_hands_them_over():
    calls = []

    class Spy(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            call = decode(func, args, kwargs)
            calls.extend([] if call is None else [(call.operation, call.rate, call.training)])
            return func(*args, **(kwargs or {}))

    with Spy():
        F.dropout(X)
        F.dropout(X, 0.1, inplace=False, training=False)
        torch.dropout(X, 0.2, True)
        F.alpha_dropout(X, training=True)
        F.scaled_dot_product_attention(X, X, X, None, 0.3)
        torch.nn.LSTM(6, 6, 2, dropout=0.4).eval()(X[0])
        torch.nn.MultiheadAttention(6, 2, dropout=0.5)(X[0], X[0], X[0])
    assert calls == [
        ("dropout", 0.5, True),
        ("dropout", 0.1, False),
        ("dropout", 0.2, True),
        ("alpha dropout", 0.5, True),
        ("attention", 0.3, True),
        ("recurrent", 0.4, False),
        ("multi-head attention", 0.5, True),
    ]
