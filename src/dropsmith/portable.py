"""Arithmetic on integers of 32 bits that every runtime computes alike, for graphs that leave torch.

Runtimes agree with torch on sums, differences, products, AND and XOR of int32, and on signs. Some
of them shift, divide and compare integers as float32, which holds 24 bits: OpenVINO 2026.4 shifts
one word of two wrongly, without a message. Here such steps only meet numbers that float32 holds
exactly. Eager and compiled code has faster lines with the same results; `exporting` says which of
the two are to run.

A `Recorder` sees each computation that `call` names as one call instead of its many operations.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF
EXACT_BITS = 24
"""Whole numbers of so many bits are exact in float32."""

LARGEST_DIVISOR = 4091
"""The largest prime whose square, with a number of 15 bits added, has no more than 24 bits."""

Computation = Callable[..., Any]
"""A function of tensors that broadcast against each other, and of numbers, element by element."""

Recorder = Callable[[Computation, tuple[Any, ...], tuple[torch.dtype, ...]], tuple[Tensor, ...]]
"""Takes a computation, its arguments and the types of what it returns; returns that."""

_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)
_closed: ContextVar[bool] = ContextVar("closed", default=False)
_is_forced: ContextVar[bool] = ContextVar("is_forced", default=False)


def _value_of(variable: ContextVar[Any], default: Any) -> Any:
    """The value of a variable; in code that a compiler traces, which reads none, its default."""
    return default if torch.compiler.is_dynamo_compiling() else variable.get()


def exporting() -> bool:
    """Whether a graph is being exported, which may run in another runtime than torch."""
    return torch.compiler.is_exporting() or _value_of(_is_forced, False)


@contextmanager
def portable_lines() -> Iterator[None]:
    """Run a block by the lines of this module, though nothing is exported."""
    token = _is_forced.set(True)
    try:
        yield
    finally:
        _is_forced.reset(token)


@contextmanager
def recorded_by(recorder: Recorder | None, closed_loops: bool = False) -> Iterator[None]:
    """Let a recorder make the computations of a block.

    Args:
        recorder: None for none.
        closed_loops: whether loops may read nothing that is outside of them.
    """
    tokens = _recorder.set(recorder), _closed.set(closed_loops)
    try:
        yield
    finally:
        _recorder.reset(tokens[0])
        _closed.reset(tokens[1])


def loops_are_closed() -> bool:
    """Whether loops may read nothing that is outside of them."""
    return _value_of(_closed, False)


def call(function: Computation, *values: Any, types: tuple[torch.dtype, ...]) -> Any:
    """`function(*values)`, made by the recorder where there is one.

    Args:
        function: known by its module and name; returns a tensor, or a tuple of as many as `types`.
        values: tensors, numbers and None.
        types: of the tensors that it returns.
    """
    recorder = _value_of(_recorder, None)
    if recorder is None:
        return function(*values)
    results = recorder(function, values, types)
    return results if len(types) > 1 else results[0]


def shift_right(word: Tensor, places: int) -> Tensor:
    """Words of 32 bits, moved right by 8 places or more; zeros come in from the left.

    >>> shift_right(torch.tensor([-1, 1 << 20], dtype=torch.int32), 16).tolist()
    [65535, 16]
    """
    return _divided(word & -(1 << places), places) & (_WORD >> places)


def half(word: Tensor) -> Tensor:
    """Words of 32 bits, moved right by one place: numbers of 31 bits.

    >>> half(torch.tensor([-1, 7], dtype=torch.int32)).tolist()
    [2147483647, 3]
    """
    high, low = _halves(word)
    return high * (1 << 15) + low


def is_below(word: Tensor, limit: int | Tensor) -> Tensor:
    """Whether words, read as numbers without a sign, are below a limit of 32 bits.

    >>> is_below(torch.tensor([-1, 7], dtype=torch.int32), 8).tolist()
    [False, True]
    """
    if isinstance(limit, int):
        limit = limit - (1 << 32) if limit >> 31 else limit
    # The bit that the difference borrows (Warren, Hacker's Delight, section 2-12).
    flipped = word ^ -1
    return ((flipped & limit) | ((flipped | limit) & (word - limit))) < 0


def remainder_of_half(word: Tensor, divisor: int) -> Tensor:
    """The remainder of `half(word)`.

    >>> remainder_of_half(torch.tensor([-1, 7], dtype=torch.int32), 53).tolist()
    [20, 3]

    Args:
        word: of 32 bits.
        divisor: of 16 bits at most.
    """
    high, low = _halves(word)
    rest: Any = 0
    step = EXACT_BITS - divisor.bit_length()
    for part, width in ((high, 16), (low, 15)):
        while width:
            taken = min(step, width)
            width -= taken
            digit = _divided(part & -(1 << width), width) & ((1 << taken) - 1)
            rest = (rest * (1 << taken) + digit) % divisor
    return rest


def share_of_half(word: Tensor, count: int) -> Tensor:
    """The whole part of `count * half(word) / 2**31`: which of `count` equal parts it lies in.

    >>> share_of_half(torch.tensor([-1, 7], dtype=torch.int32), 53).tolist()
    [52, 0]

    Args:
        word: of 32 bits.
        count: of 15 bits at most.
    """
    high, low = _halves(word)
    return shift_right(high * count + shift_right(low * count, 15), 16)


def divide_words(high: Tensor, word: Tensor, divisor: int) -> Any:
    """The quotient of the 64-bit number whose halves are `high` and `word`, as a word of 32 bits.

    >>> divide_words(torch.tensor([1], dtype=torch.int32), torch.tensor([5]).int(), 2).tolist()
    [-2147483646]

    Args:
        high: below the divisor.
        word: of 32 bits.
        divisor: of 16 bits at most.
    """
    rest, quotient = high, 0
    for byte in _bytes(word):
        part = rest * 256 + byte
        rest = part % divisor
        # A multiple of the divisor: the half keeps a rounded reciprocal from losing one.
        digit = ((part - rest).float() * (1 / divisor) + 0.5).to(torch.int32)
        quotient = quotient * 256 + digit
    return quotient


def times_fraction(parts: Tensor, factor: int) -> Tensor:
    """Numbers of 31 bits times `factor / 2**31`, rounded down, modulo `2**31`.

    >>> times_fraction(torch.tensor([1 << 30], dtype=torch.int32), 3 << 29).tolist()
    [805306368]
    """
    digits = list(_bytes(parts))[::-1]
    factors = [factor >> 8 * place & 255 for place in range(8)]
    carry: Any = 0
    product: list[Any] = []
    for place in range(8):
        pairs = [(digits[i], factors[place - i]) for i in range(4) if place - i >= 0]
        column = carry + sum(digit * times for digit, times in pairs)
        product.append(column & 255)
        carry = _divided(column - product[-1], 8)
    # The bits from the 31st on: the last of the fourth digit, and the four digits above it.
    result = _divided(product[3] & 128, 7)
    for place, digit in enumerate(product[4:]):
        result = result + digit * (1 << 8 * place + 1)
    return result & 0x7FFFFFFF


def inverse_error_function(x: Tensor) -> Tensor:
    """The inverse of the error function in float32, of numbers inside (-1, 1) (Giles, 2010).

    Graphs of ONNX have none. It differs from torch's by a few units in the last place.
    """
    # 1 - x² without the digits that its rounding would cost near one.
    w = -torch.log((1 - x) * (1 + x))
    near, far = _polynomial(_NEAR, w - 2.5), _polynomial(_FAR, w.sqrt() - 3)
    return torch.where(w < 5, near, far) * x


_NEAR = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_FAR = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _divided(number: Tensor, places: int) -> Tensor:
    """A multiple of `2**places` with no more than 24 bits above it, divided by that."""
    return (number.float() * 2.0**-places).to(torch.int32)


def _halves(word: Tensor) -> tuple[Tensor, Tensor]:
    """The upper 16 bits, and the 15 bits below them: all but the last bit."""
    return shift_right(word, 16), _divided(word & 0xFFFE, 1)


def _bytes(word: Tensor) -> tuple[Tensor, ...]:
    """The four bytes of a word, the highest first."""
    return (
        shift_right(word, 24),
        shift_right(word, 16) & 255,
        shift_right(word, 8) & 255,
        word & 255,
    )
