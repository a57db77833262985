"""Pairs of sentences that hang together: by a sentence that is in both, at whatever remove."""

from collections.abc import Sequence

from dropsmith.tasks.tables import BETWEEN, Example


def groups(rows: Sequence[Example]) -> list[str]:
    """For each pair, a name that it has in common with all pairs that hang together with it.

    >>> groups([("a\\tb", "1"), ("c\\td", "0"), ("e\\tb", "0"), ("e\\tf", "1")])
    ['a', 'c', 'a', 'a']

    Args:
        rows: texts with `BETWEEN` between their sentences, and labels.
    """
    above: dict[str, str] = {}

    def first(sentence: str) -> str:
        while above.setdefault(sentence, sentence) != sentence:
            above[sentence] = above[above[sentence]]
            sentence = above[sentence]
        return sentence

    pairs = [text.split(BETWEEN) for text, _ in rows]
    for pair in pairs:
        # The name is the least sentence of all, so that it does not hang on the order of rows.
        least, *others = sorted(map(first, pair))
        for other in others:
            above[other] = least
    return [first(pair[0]) for pair in pairs]
