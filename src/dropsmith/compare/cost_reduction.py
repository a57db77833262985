"""The cost reduction of a method of several views, as its name says: `r-drop+every-4+trunk`."""

from dataclasses import dataclass

from dropsmith.errors import TaskError, did_you_mean, excerpt

PLUS = "+"
"""Stands between a method's name and each reduction of its cost."""

FORMS = (
    "+every-K (the term at every K-th step), +share-S (of the batch), +trunk (lower layers once)"
)


_TAKES = {
    "every": "every-K takes a whole number of 2 or more",
    "share": "share-S takes a number between 0 and 1",
    "trunk": "trunk takes no number",
}


@dataclass(frozen=True, kw_only=True)
class CostReduction:
    """The part of the second and later views that a method saves.

    >>> CostReduction.of("trunk", "every-4")
    CostReduction(every=4, share=1.0, trunk=True)
    >>> CostReduction.of("trunk", "every-4").ending
    '+every-4+trunk'

    Args:
        every: further views are made at every step divisible by this.
        share: the leading share of the batch that they see.
        trunk: whether the model's lower layers run once for all views.
    """

    every: int = 1
    share: float = 1.0
    trunk: bool = False

    @classmethod
    def of(cls, *words: str) -> "CostReduction":
        """The reduction of some words in any order; `TaskError` for a word that means none."""
        settings: dict[str, float | bool] = {}
        for word in words:
            name, value = _read(word)
            if name in settings:
                raise TaskError(f"{name} is given twice: {PLUS.join(words)}")
            settings[name] = value
        return cls(**settings)  # pyright: ignore[reportArgumentType]

    @property
    def ending(self) -> str:
        """The text that follows the method's name: empty without a reduction."""
        words = [f"every-{self.every}"] if self.every > 1 else []
        words += [f"share-{self.share:g}"] if self.share < 1 else []
        words += ["trunk"] if self.trunk else []
        return "".join(PLUS + word for word in words)

    @property
    def about(self) -> str:
        """The same in words."""
        parts = [f"at every {ordinal(self.every)} step"] if self.every > 1 else []
        parts += [f"on {100 * self.share:g} % of the batch"] if self.share < 1 else []
        parts += ["the lower layers run once for all views"] if self.trunk else []
        return "; ".join(parts)

    @property
    def settings(self) -> dict[str, float]:
        """The arguments of the objective."""
        values = {"every": self.every, "batch_fraction": self.share}
        return {name: value for name, value in values.items() if value != 1}


NO_REDUCTION = CostReduction()


def ordinal(number: int) -> str:
    """A number as a place.

    >>> ordinal(2), ordinal(3), ordinal(12), ordinal(21)
    ('2nd', '3rd', '12th', '21st')
    """
    teens = 10 <= number % 100 <= 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _read(word: str) -> tuple[str, float | bool]:
    name, _, number = word.partition("-")
    if word == "trunk":
        return "trunk", True
    if name == "every" and number.isdecimal() and int(number) > 1:
        return "every", int(number)
    if name == "share" and (share := _share(number)) is not None:
        return "share", share
    is_known = name in _TAKES
    reason = f": {_TAKES[name]}, got {excerpt(number)}" if is_known else " is no reduction of cost"
    raise TaskError(
        f"{excerpt(PLUS + word)}{reason}\n"
        f"  reductions: {FORMS}, such as "
        "r-drop+every-4 "
        "or r-drop+share-0.5" + ("" if is_known else did_you_mean(name, _TAKES))
    )


def _share(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 < share < 1 else None
