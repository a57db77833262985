"""Operations of torch, as they were recorded, as nodes of ONNX."""

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from dropsmith.errors import ExportError

_TYPES = {"integer": 6, "real": 1, "truth": 9}
"""Types of elements as ONNX numbers them: int32, float32 and bool."""

_BOTH: dict[Any, str] = {
    operator.add: "Add",
    operator.sub: "Sub",
    operator.mul: "Mul",
    operator.mod: "Mod",
}
_COMPARISONS: dict[Any, str] = {
    operator.lt: "Less",
    operator.gt: "Greater",
    operator.ge: "GreaterOrEqual",
    operator.eq: "Equal",
}
_BITS: dict[Any, tuple[str, str]] = {
    operator.and_: ("BitwiseAnd", "And"),
    operator.or_: ("BitwiseOr", "Or"),
    operator.xor: ("BitwiseXor", "Xor"),
    torch.bitwise_xor: ("BitwiseXor", "Xor"),
}
_ONE: dict[Any, str] = {torch.log: "Log", "log": "Log", "sqrt": "Sqrt", operator.neg: "Neg"}


@dataclass(frozen=True)
class Value:
    """A value in a function: its name and the type of its elements."""

    name: str
    type: str


class NodeWriter:
    """Writes the operations of a computation as nodes of ONNX."""

    def __init__(self) -> None:
        self.values: dict[fx.Node, Value] = {}
        self.nodes: list[Any] = []
        self.constants: dict[tuple[str, int | float], Value] = {}

    def write(self, node: fx.Node) -> None:
        """Write one operation."""
        function, arguments = node.target, node.args
        if node.op == "call_method" and function in ("float", "to"):
            kind = "real" if function == "float" else "integer"
            self._add(node, "Cast", [self._value(arguments[0])], kind, to=_TYPES[kind])
        elif function in _ONE:
            value = self._value(arguments[0])
            self._add(node, _ONE[function], [value], value.type)
        elif function in _BOTH:
            values = self._alike(*arguments)
            self._add(node, _BOTH[function], values, values[0].type)
        elif function in _COMPARISONS:
            self._add(node, _COMPARISONS[function], self._alike(*arguments), "truth")
        elif function in _BITS:
            values = self._alike(*arguments)
            of_bits, of_truths = _BITS[function]
            name = of_truths if values[0].type == "truth" else of_bits
            self._add(node, name, values, values[0].type)
        elif function is operator.invert:
            value = self._value(arguments[0])
            self._add(node, "Not" if value.type == "truth" else "BitwiseNot", [value], value.type)
        elif function is torch.where:
            values = self._alike(*arguments[1:])
            self._add(node, "Where", [self._value(arguments[0]), *values], values[0].type)
        else:
            raise ExportError(f"a mask is computed by {function}, which has no form in ONNX")

    def _add(self, node: fx.Node, op: str, inputs: list[Value], kind: str, **more: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(op, [i.name for i in inputs], [node.name], **more))
        self.values[node] = Value(node.name, kind)

    def _alike(self, *values: Any) -> list[Value]:
        """Values, the numbers among them as constants of the type of the others."""
        kind = next(self.values[value].type for value in values if isinstance(value, fx.Node))
        return [self._value(value, kind) for value in values]

    def _value(self, value: Any, kind: str = "integer") -> Value:
        if isinstance(value, fx.Node):
            return self.values[value]
        key = kind, value
        if key not in self.constants:
            from onnx import helper

            made = Value(f"c{len(self.constants)}", kind)
            tensor = helper.make_tensor(made.name, _TYPES[kind], (), [value])
            self.nodes.append(helper.make_node("Constant", [], [made.name], value=tensor))
            self.constants[key] = made
        return self.constants[key]
