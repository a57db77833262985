"""The lengths of pairs of texts, and how much of them is kept, in words."""

from collections.abc import Sequence


def pair_length_note(sizes: Sequence[Sequence[int]], most: Sequence[int]) -> tuple[str, str]:
    """How many tokens of a source and of a target are kept, and the shares that lose some.

    >>> print(pair_length_note(([3, 5, 70, 7], [2, 2, 2, 2]), (9, 9))[1])
    the first 9 tokens are kept; 25.0 % of the training sources and 0.0 % of the targets are longer

    Args:
        sizes: tokens of each source, and of each target, marks of begin and end among them.
        most: tokens that are kept of a source, and of a target.
    """
    shares = [
        100 * sum(size > length for size in of_texts) / max(1, len(of_texts))
        for of_texts, length in zip(sizes, most, strict=True)
    ]
    kept = f"{most[0]} tokens"
    if most[0] != most[1]:
        kept = f"{most[0]} tokens of a source and {most[1]} of a target"
    longer = "none is longer"
    if any(shares):
        longer = (
            f"{shares[0]:.1f} % of the training sources and {shares[1]:.1f} % of the targets "
            "are longer"
        )
    return "text length", f"the first {kept} are kept; {longer}"
