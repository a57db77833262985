"""Masks drawn by the functions that are written for ONNX are bit-equal to those of eager code."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("onnx", reason="needs the extra export")

from deployment.drawing import PATTERNS, exported, key
from dropsmith import rng
from dropsmith.axes import Axes
from dropsmith.deployment.onnx_functions import DOMAIN, FunctionLibrary
from dropsmith.patterns import Gaussian, WordDropout
from dropsmith.portable import recorded_by
from dropsmith.rng import Key, Source, Strata

OPSET = 20


def run_onnxruntime(model: Any, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export")
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, arrays)


def run_openvino(model: Any, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    openvino = pytest.importorskip("openvino", reason="needs the extra openvino")
    core = openvino.Core()
    read = core.read_model(BytesIO(inlined(model).SerializeToString()))
    compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    taken = {name for port in compiled.inputs for name in port.names}
    outputs = compiled({name: array for name, array in arrays.items() if name in taken})
    return [outputs[port].copy() for port in compiled.outputs]


def inlined(model: Any) -> Any:
    from onnx import inliner

    return inliner.inline_local_functions(model)


class InRuntime:
    """Computes what it is asked to record, in a runtime, by the function written for it."""

    def __init__(self, run: Callable[[Any, dict[str, np.ndarray]], list[np.ndarray]]) -> None:
        self.run, self.calls = run, 0

    def __call__(self, function: Any, values: Any, types: Any) -> tuple[Tensor, ...]:
        from onnx import helper

        library = FunctionLibrary()
        library(function, values, types)
        (proto,) = library.protos(OPSET)
        kinds = {torch.int32: 6, torch.float32: 1, torch.bool: 9}
        tensors = [value.contiguous() for value in values if isinstance(value, Tensor)]
        shape = torch.broadcast_shapes(*(x.shape for x in tensors))
        inputs, outputs = list(proto.input), [f"y{i}" for i in range(len(types))]
        graph = helper.make_graph(
            [helper.make_node(proto.name, inputs, outputs, domain=DOMAIN)],
            "one_call",
            [
                helper.make_tensor_value_info(name, kinds[x.dtype], list(x.shape))
                for name, x in zip(inputs, tensors, strict=True)
            ],
            [
                helper.make_tensor_value_info(name, kinds[dtype], None)
                for name, dtype in zip(outputs, types, strict=True)
            ],
        )
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(graph, functions=[proto], opset_imports=imports, ir_version=10)
        arrays = {name: x.numpy() for name, x in zip(inputs, tensors, strict=True)}
        self.calls += 1
        results = [torch.from_numpy(array) for array in self.run(model, arrays)]
        return tuple(x.expand(shape) for x in results)


RUNTIMES = [run_onnxruntime, run_openvino]


def as_tensors(key: Key) -> Key:
    """A key whose words are int32 tensors, as those that a graph makes of its inputs."""

    def tensor(number: int) -> Tensor:
        return torch.from_numpy(np.array(number, np.uint32).view(np.int32))

    strata = key.strata
    if strata is not None:
        order = as_tensors(strata.order)
        strata = Strata(order, torch.tensor(strata.number, dtype=torch.int32), strata.count)
    first, second = replace(key, strata=None).numbers
    return Key(tensor(first), tensor(second), strata)


@pytest.mark.parametrize("run", RUNTIMES)
@pytest.mark.parametrize("count", [0, 50])
@pytest.mark.parametrize(("pattern", "names", "sizes"), PATTERNS, ids=str)
def test_a_pattern_draws_the_mask_of_eager_code(pattern, names, sizes, count, run):
    axes, source = Axes.read(names, sizes), Source(key(count, 3), view=3)
    expected, runtime = pattern.draw(axes, source), InRuntime(run)
    with exported(), recorded_by(runtime):
        found = pattern.draw(axes, replace(source, key=as_tensors(source.key)))
    assert runtime.calls
    if isinstance(pattern, Gaussian):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(found.expand(expected.shape), expected)


@pytest.mark.parametrize("run", RUNTIMES)
@pytest.mark.parametrize("per", ["row", "table"])
def test_words_are_dropped_as_in_eager_code(per, run):
    ids = torch.randint(0, 9, (7, 12), generator=torch.Generator().manual_seed(0))
    pattern, source = WordDropout(rate=0.4, per=per), Source(key(5, 2))
    with exported(), recorded_by(InRuntime(run)):
        found = pattern.mask(ids, replace(source, key=as_tensors(source.key)))
    assert torch.equal(found, pattern.mask(ids, source))


@pytest.mark.parametrize("run", RUNTIMES)
@pytest.mark.parametrize("seed", [0, 1, 7, 2**31 - 1, -1, -(2**31)])
def test_a_key_made_of_a_tensor_is_that_of_the_number(seed, run):
    with exported(), recorded_by(InRuntime(run)):
        made = Key.of_tensor(torch.tensor(seed, dtype=torch.int32)).fold(3, 2**32 - 1)
    index = torch.arange(60, dtype=torch.int32)
    assert torch.equal(rng.bits(made, index), rng.bits(Key.of(seed).fold(3, 2**32 - 1), index))
