"""Files and JSON values that are broken at random, the same from the same seed."""

import copy
import random
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any

_LONGEST_BLOCK = 64
"""Bytes that one mutation writes, repeats or takes away."""

_SHARE_OF_CUTS = 0.2
"""Of byte mutations, those that cut a file off: what a full disk or a broken copy leaves."""

_DEEP = 400
"""Levels of a nested value: more than are read, and few enough for `json.dumps` to write."""

_SHARE_OF_DEEP = 0.05
"""Of value mutations, those that nest a value deep, and do nothing else."""

WRONG_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    -(2**63) - 1,
    10**30,
    0.5,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "1",
    "a\x00b",
    "../../etc/passwd",
    "[red]<b>&\x1b[31m",
    "x" * 5000,
    [],
    [[]],
    [1, "a", None],
    {},
    {"": 0},
    {"__class__": "os.system"},
)
"""Values that stand where another was: other types, numbers out of range, names that are no names.
All are JSON as Python writes it; `nan` and infinities are not JSON elsewhere."""


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Other bytes: some flipped, written over, repeated, moved or taken away, or the end cut off.

    >>> mutate_bytes(b"some data", random.Random(1)) != b"some data"
    True
    >>> mutate_bytes(b"same", random.Random(1)) == mutate_bytes(b"same", random.Random(1))
    True
    """
    if not data:
        return rng.randbytes(rng.randint(1, _LONGEST_BLOCK))
    if rng.random() < _SHARE_OF_CUTS:
        return data[: rng.randrange(len(data))]
    mutated = data
    while mutated == data:
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            mutated = rng.choice(_BYTE_MUTATIONS)(bytearray(mutated), rng)
    return mutated


def mutate_json(values: Any, rng: random.Random) -> Any:
    """Other JSON values: fields gone, added, swapped or of another type, or values nested deep.

    The values that were given stay as they are.

    >>> values = {"rate": 0.5, "sites": ["a", "b"]}
    >>> mutate_json(values, random.Random(3)) != values
    True
    """
    mutated = copy.deepcopy(values)
    if rng.random() < _SHARE_OF_DEEP:
        nested = deep(key=rng.choice((None, "a")))
        holder, key = rng.choice([*_places(mutated), (None, None)])
        if holder is None:
            return nested
        holder[key] = nested
        return mutated
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(mutated))
        if not places or rng.random() < 0.03:
            mutated = _other(mutated, rng)
            continue
        holder, key = rng.choice(places)
        rng.choice(_VALUE_MUTATIONS)(holder, key, rng)
    while repr(mutated) == repr(values):  # two mutations may undo one another
        mutated = _other(values, rng)
    return mutated


def deep(levels: int = _DEEP, *, key: str | None = None) -> Any:
    """A value nested in lists, or in objects of one key where one is given.

    >>> deep(2), deep(2, key="a")
    ([[0]], {'a': {'a': 0}})
    """
    value: Any = 0
    for _ in range(levels):
        value = [value] if key is None else {key: value}
    return value


Places = Iterator[tuple[Any, Any]]


def _places(values: Any) -> Places:
    """Every list or object with each of its indices or keys."""
    stack = [values]
    while stack:
        holder = stack.pop()
        for key in keys_of(holder):
            yield holder, key
            stack.append(holder[key])


def keys_of(holder: Any) -> list[Any]:
    """The keys of an object, the indices of a list, and none of anything else."""
    if isinstance(holder, dict):
        return list(holder)
    return list(range(len(holder))) if isinstance(holder, list) else []


def _flip(data: bytearray, rng: random.Random) -> bytes:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _write_over(data: bytearray, rng: random.Random) -> bytes:
    place, length = _block(data, rng)
    block = rng.choice((rng.randbytes(length), bytes(length), b"\xff" * length))
    data[place : place + length] = block
    return bytes(data)


def _insert(data: bytearray, rng: random.Random) -> bytes:
    place, length = _block(data, rng)
    data[place:place] = rng.randbytes(length)
    return bytes(data)


def _remove(data: bytearray, rng: random.Random) -> bytes:
    place, length = _block(data, rng)
    del data[place : place + length]
    return bytes(data)


def _repeat(data: bytearray, rng: random.Random) -> bytes:
    place, length = _block(data, rng)
    data[place:place] = data[place : place + length]
    return bytes(data)


def _swap_blocks(data: bytearray, rng: random.Random) -> bytes:
    (first, length), second = _block(data, rng), rng.randrange(len(data) + 1)
    block = data[first : first + length]
    del data[first : first + length]
    data[second:second] = block
    return bytes(data)


def _change_digit(data: bytearray, rng: random.Random) -> bytes:
    """Another digit, bracket, comma or quote: text stays text, and says something else."""
    signs = b'0123456789-.,:;[]{}"\n'
    places = [place for place, byte in enumerate(data[: 1 << 16]) if byte in signs]
    if places:
        data[rng.choice(places)] = rng.choice(signs)
    return bytes(data)


def _block(data: bytearray, rng: random.Random) -> tuple[int, int]:
    return rng.randrange(len(data) + 1), rng.randint(1, _LONGEST_BLOCK)


def _replace(
    holder: MutableMapping[Any, Any] | MutableSequence[Any], key: Any, rng: random.Random
) -> None:
    holder[key] = _other(holder[key], rng)


def _delete(
    holder: MutableMapping[Any, Any] | MutableSequence[Any], key: Any, rng: random.Random
) -> None:
    del holder[key]


def _rename_or_repeat(
    holder: MutableMapping[Any, Any] | MutableSequence[Any], key: Any, rng: random.Random
) -> None:
    """Another name for a field, or an item of a list twice."""
    if isinstance(holder, MutableMapping):
        holder[rng.choice(("", f"{key}_", "__class__", "x" * 300, "\u202e"))] = holder.pop(key)
    else:
        holder.insert(key, copy.deepcopy(holder[key]))


def _swap_values(
    holder: MutableMapping[Any, Any] | MutableSequence[Any], key: Any, rng: random.Random
) -> None:
    other = rng.choice(keys_of(holder))
    holder[key], holder[other] = holder[other], holder[key]


def _other(value: Any, rng: random.Random) -> Any:
    """A value in place of another: a wrong one, a near one, text of it, or itself wrapped."""
    kind = rng.randrange(7)
    if kind == 0:
        return [value]
    if kind == 1:
        return {rng.choice(("", "value", "__class__")): value}
    if kind == 2:
        return str(value)
    if kind == 3 and isinstance(value, int | float):
        return rng.choice((-value, value * 1e9, value + 1, float(value), 1 - value))
    if kind == 3 and isinstance(value, str):
        return rng.choice((value[:-1], value + value, value.upper(), f" {value}", f"{value}\n"))
    other = rng.choice(WRONG_VALUES)
    return copy.deepcopy(other if other is not value else [other])


_BYTE_MUTATIONS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _write_over,
    _insert,
    _remove,
    _repeat,
    _swap_blocks,
    _change_digit,
    _change_digit,
)

_VALUE_MUTATIONS: tuple[Callable[[Any, Any, random.Random], None], ...] = (
    _replace,
    _replace,
    _replace,
    _delete,
    _rename_or_repeat,
    _swap_values,
)
