"""Globs of names with dots, matched letter by letter in a time linear in the name."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache


@lru_cache(maxsize=2**16)
def glob_matches(glob: str, name: str) -> bool:
    """Say whether a glob means a name: `*` stays in one part, `**` spans any number, even none.

    >>> glob_matches("a.*.c", "a.b.c"), glob_matches("a.*", "a.b.c"), glob_matches("a.**.c", "a.c")
    (True, False, True)
    """
    if "*" not in glob:
        return glob == name
    return automaton(glob).matches(name)


@dataclass(frozen=True)
class Automaton:
    """What a glob means, as places between its signs, each a bit of a number.

    All places that a name may have led to are followed at once, so a letter of the name is one
    step, however many stars there are. Steps that were taken before are looked up.

    Args:
        steps: for a letter, the places that it leads on from to the next one.
        within, across: the places that letters of one part, or of any, leave as they are.
        one_skipped, two_skipped: the places from which the next one, or the one after it, is
            reached without a letter.
        end: the place at which a name has been read that the glob means.
    """

    steps: dict[str, int]
    within: int
    across: int
    one_skipped: int
    two_skipped: int
    end: int
    _known: dict[tuple[int, str], int] = field(default_factory=dict, repr=False, compare=False)

    def matches(self, name: str) -> bool:
        """Say whether the glob means the name."""
        *_, last = self.places_in(name)
        return bool(last & self.end)

    def places_in(self, name: str) -> Iterator[int]:
        """The places before the first letter and after each one, until there are none."""
        known, places = self._known, self._with_skips(1)
        yield places
        for letter in name:
            step = (places, letter)
            if (after := known.get(step)) is None:
                if len(known) == _KNOWN:
                    known.clear()
                after = known[step] = self._after(places, letter)
            places = after
            yield places
            if not places:
                return

    def _after(self, places: int, letter: str) -> int:
        staying = 0 if letter == "." else places & self.within
        staying |= 0 if letter == "\n" else places & self.across
        return self._with_skips(staying | (places & self.steps.get(letter, 0)) << 1)

    def _with_skips(self, places: int) -> int:
        while True:  # at most three times: no more signs follow each other that may be skipped
            one, two = places & self.one_skipped, places & self.two_skipped
            more = places | one << 1 | two << 2
            if more == places:
                return places
            places = more


_KNOWN = 4096
"""The steps that an automaton keeps, at most."""


@lru_cache(maxsize=1024)
def automaton(glob: str) -> Automaton:
    """The automaton of a glob."""
    steps: dict[str, int] = defaultdict(int)
    within = across = one_skipped = two_skipped = 0
    place = 1
    for sign in _signs(glob):
        if sign == _PARTS:
            one_skipped, two_skipped = one_skipped | place, two_skipped | place
            place <<= 1
            across, steps["."] = across | place, steps["."] | place
        elif sign == "**":
            across, one_skipped = across | place, one_skipped | place
        elif sign == "*":
            within, one_skipped = within | place, one_skipped | place
        else:
            steps[sign] |= place
        place <<= 1
    return Automaton(dict(steps), within, across, one_skipped, two_skipped, place)


_PARTS = "**."
"""Any number of parts, even none, each with its dot."""


def _signs(glob: str) -> Iterator[str]:
    """The letters and stars of a glob, and `_PARTS` where two stars are a whole part."""
    rest, last, index = _REPEATED.sub("**", glob), "", 0
    while index < len(rest):
        if rest.startswith(".**.", index):
            yield "."
            index += 1
            sign = _PARTS
        elif index == 0 and rest.startswith(_PARTS):
            sign = _PARTS
        else:
            sign = "**" if rest.startswith("**", index) else rest[index]
        index += len(sign)
        if not sign == last == "**":  # four stars are two
            yield sign
        last = sign


_REPEATED = re.compile(r"\*\*(?:\.\*\*)+")
