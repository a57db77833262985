"""The computations of masks as functions of ONNX, made from the lines that torch runs.

Exporters take about ten milliseconds for an operation, and a mask has hundreds. So a graph has one
call for each computation; its function is written here, from the operations that the computation
does to stand-ins of tensors.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.proxy import GraphAppendingTracer

from dropsmith.deployment.onnx_nodes import NodeWriter, Value
from dropsmith.portable import Computation, portable_lines

DOMAIN = "dropsmith"


class FunctionLibrary:
    """The functions of one graph; it records calls as `dropsmith.portable` asks.

    Attributes:
        functions: by the computation and its numbers, the name of each and what writes it.
    """

    def __init__(self) -> None:
        self.functions: dict[Any, tuple[str, Callable[[int], Any]]] = {}

    def __call__(
        self, function: Computation, values: tuple[Any, ...], types: tuple[torch.dtype, ...]
    ) -> tuple[Tensor, ...]:
        """Put a call in the graph that is being traced."""
        tensors = [value for value in values if isinstance(value, Tensor)]
        places = tuple("tensor" if isinstance(v, Tensor) else v for v in values)
        reals = tuple(x.dtype == torch.float32 for x in tensors)
        key = function, places, reals
        if key not in self.functions:
            name = f"{function.__name__.strip('_')}_{len(self.functions)}"
            self.functions[key] = name, partial(_function, name, function, places, reals)
        shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
        results = torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::{self.functions[key][0]}",
            tensors,
            dtypes=types,
            shapes=[shape] * len(types),
            version=1,
        )
        return tuple(results)

    def protos(self, opset: int) -> list[Any]:
        """The functions as a version of ONNX's operations has them."""
        return [write(opset) for _, write in self.functions.values()]


def _function(
    name: str,
    computation: Computation,
    places: tuple[Any, ...],
    reals: tuple[bool, ...],
    opset: int,
) -> Any:
    """One function of ONNX."""
    from onnx import helper

    graph = fx.Graph()
    tracer = GraphAppendingTracer(graph)
    inputs = [graph.placeholder(f"x{number}") for number in range(len(reals))]
    proxies = iter([fx.Proxy(node, tracer) for node in inputs])
    with portable_lines():
        results = computation(*(next(proxies) if p == "tensor" else p for p in places))
    results = results if isinstance(results, tuple) else (results,)
    writer = NodeWriter()
    for node, is_real in zip(inputs, reals, strict=True):
        writer.values[node] = Value(node.name, "real" if is_real else "integer")
    for node in graph.nodes:
        if node.op != "placeholder":
            writer.write(node)
    outputs = [writer.values[result.node].name for result in results]
    return helper.make_function(
        DOMAIN,
        name,
        [node.name for node in inputs],
        outputs,
        writer.nodes,
        [helper.make_opsetid("", opset)],
    )
