"""Addresses on the Hub, and a word while it is waited for.

Its client asks again where there is no answer: five times over half a minute where the network is
away, and no argument makes that shorter. It says so in two lines for each time.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

HUB = "hf://"
"""The begin of an address on the Hub."""

_CLIENT = "huggingface_hub.utils._http"
"""Who says that the Hub is asked again."""

_LINE = "no answer from the Hub: it is asked again some times, which takes half a minute or more"


@contextmanager
def retries_said_once() -> Iterator[None]:
    """In here, one line on standard error stands for all that the Hub's client says of retries."""
    logger, once = logging.getLogger(_CLIENT), _Once()
    logger.addFilter(once)
    try:
        yield
    finally:
        logger.removeFilter(once)


@final
class _Once(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        retry = text.startswith("Retrying in")
        if retry and not self._said:
            print(_LINE, file=sys.stderr)
            self._said = True
        return not (retry or "thrown while requesting" in text)
