"""One call of a torch function that draws noise, decoded into a value."""

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from dropsmith.interception.flex_attention import FLEX, run_flex
from dropsmith.interception.signatures import PACKED, SIGNATURES, Operation, Signature, Torch
from dropsmith.plans import Kind


@final
class NoisyCall(NamedTuple):
    """One call of a torch function that draws noise.

    >>> import torch
    >>> call = decode(torch.nn.functional.dropout, (torch.ones(2, 3), 0.1))
    >>> call.operation, call.rate, call.training, call.inplace, tuple(call.input.shape)
    ('dropout', 0.1, True, False, (2, 3))

    Args:
        function: the torch function.
        signature: its entry in the table.
        arguments: all its arguments by name.
        args: the positional arguments of the call.
        kwargs: the keyword arguments of the call.
    """

    function: Torch
    signature: Signature
    arguments: dict[str, Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def operation(self) -> Operation:
        """The operation of the call, such as `dropout` or `attention`."""
        return self.signature.operation

    @property
    def kind(self) -> Kind:
        """The kind of its site: `attention`, `between` or `functional`."""
        return self.signature.kind

    @property
    def input(self) -> Tensor:
        """The input tensor of the call; the query of attention."""
        return self.arguments[self.signature.names[0]]

    @property
    def rate(self) -> float:
        """The rate of the call, whatever its training flag is."""
        name = self.signature.rate
        return float(self.arguments[name]) if name else 0.0

    @property
    def training(self) -> bool:
        """The training flag of the call, which drops if the flag is on and the rate above zero."""
        name = self.signature.training
        return bool(self.arguments[name]) if name else True

    @property
    def inplace(self) -> bool:
        """True for a call that writes its result into its tensor."""
        return self.signature.inplace or bool(self.arguments.get("inplace"))

    def run(self) -> Any:
        """Make the call, through any other modes that see calls of torch."""
        if self.operation == "flex attention":
            return run_flex(self.args, self.kwargs)
        return self.function(*self.args, **self.kwargs)

    def run_at(self, rate: float, training: bool = True) -> Any:
        """Make the call at another rate."""
        signature = self.signature
        arguments = self.arguments | {signature.rate: rate}
        if signature.training:
            arguments[signature.training] = training
        return self.function(**arguments)


def decode(
    func: Torch, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
) -> NoisyCall | None:
    """The call as a value; None if the torch function draws no noise.

    A compiler that traces a mode passes it the operator of flex attention, too. The result is then
    None, for the compiler could trace nothing else with that operator.
    """
    signature = SIGNATURES.get(func)
    if signature is None or (func is FLEX and torch.compiler.is_compiling()):
        return None
    if signature.operation == "recurrent" and _is_packed(args, kwargs):
        signature = PACKED
    keywords = kwargs or {}
    names = dict(zip(signature.names, args, strict=False))
    return NoisyCall(func, signature, {**signature.defaults, **names, **keywords}, args, keywords)


def _is_packed(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> bool:
    # The call for packed sequences has the batch sizes as its second argument.
    third_is_state = len(args) > 3 and not isinstance(args[3], bool)
    return third_is_state or "batch_sizes" in (kwargs or {})
