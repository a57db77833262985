"""Axes by name: what each dimension of a tensor is, so that sharing can be said in words."""

from dataclasses import dataclass

from dropsmith.errors import AxisError, did_you_mean, excerpt

NAMES = ("batch", "time", "unit", "channel", "height", "width", "head", "gate")
UNKNOWN = "?"
VIEW = "view"
"""The axis of views before all others, where masks of several views are drawn together."""


@dataclass(frozen=True)
class Axes:
    """The names and sizes of a tensor's dimensions, in order.

    A dimension whose meaning could not be found is called `?`. Attention probabilities have
    `time` twice, for queries and for keys; naming it means both.

    >>> Axes.read("batch time unit", (2, 3, 4)).collapse("time")
    (2, 1, 4)
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def read(cls, names: str, sizes: tuple[int, ...]) -> "Axes":
        """Pair names separated by spaces with sizes; raise `AxisError` where they do not fit."""
        words = tuple(names.split())
        for word in words:
            if word not in NAMES and word != UNKNOWN:
                raise AxisError(
                    f"no axis is called {excerpt(word)}\n  axes are: {' '.join(NAMES)}"
                    + did_you_mean(word, NAMES)
                )
        if len(words) != len(sizes):
            raise AxisError(
                f"{len(words)} axis names for a tensor of {len(sizes)} dimensions\n"
                f"  names: {names}\n  sizes: {tuple(sizes)}"
            )
        return cls(words, tuple(sizes))

    def dims(self, names: str) -> tuple[int, ...]:
        """The dimensions that carry any of `names`; raise `AxisError` where one has none."""
        for word in names.split():
            if word not in self.names:
                raise self._missing(word)
        return tuple(dim for dim, name in enumerate(self.names) if name in names.split())

    def dim(self, name: str) -> int:
        """The one dimension called `name`."""
        return self.dims(name)[0]

    def size(self, name: str) -> int:
        """The size of the dimension called `name`."""
        return self.sizes[self.dim(name)]

    def collapse(self, shared: str) -> tuple[int, ...]:
        """The sizes of a mask that is the same along the `shared` axes."""
        held = self.dims(shared)
        return tuple(1 if dim in held else size for dim, size in enumerate(self.sizes))

    def inside_rows(self) -> list[int]:
        """The dimensions that extend over one row of one view."""
        return [dim for dim, name in enumerate(self.names) if name not in ("batch", VIEW)]

    def _missing(self, word: str) -> AxisError:
        here = " ".join(self.names)
        if word in NAMES and UNKNOWN in self.names:
            return AxisError(
                f"cannot tell which dimension is {excerpt(word)} in a tensor of sizes "
                f"{self.sizes}\n"
                f"  what is known: {here}\n"
                f'  name them in the rule: rule(..., axes="batch time unit")'
            )
        return AxisError(
            f"no axis {excerpt(word)} to share a mask over\n  this site has: {here}"
            + did_you_mean(word, [name for name in self.names if name != UNKNOWN])
        )
