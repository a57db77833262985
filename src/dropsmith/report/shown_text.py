"""Names and other texts of records as they are shown: whatever they hold, they stay text."""

import re

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, halves of characters, and signs that turn the direction of what follows."""

_LONGEST_NAME = 40
"""Characters of a name in a picture."""


def shown(text: str) -> str:
    """The text with its invisible characters spelled, so that none acts on what stands around it.

    >>> shown("r-drop\\u202e"), shown("a\\x00b")
    ('r-drop\\\\u202e', 'a\\\\x00b')
    """
    return _INVISIBLE.sub(lambda match: ascii(match[0])[1:-1], text)


def picture_name(text: str) -> str:
    """The text as a label in a picture: in one line, and no longer than a panel.

    >>> picture_name("two\\nlines"), len(picture_name("x" * 10_000))
    ('two lines', 40)
    """
    line = " ".join(shown(text[: 4 * _LONGEST_NAME]).split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"
