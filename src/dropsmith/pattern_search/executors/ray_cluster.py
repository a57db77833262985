"""The Ray cluster of a search: a running one, or one that ends with this process."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from urllib.parse import urlsplit

from dropsmith.errors import SearchError

_ANSWER = 10.0
"""Seconds within which an address answers at all. Ray itself would ask it for minutes."""

_SLOW = 10.0
"""Seconds after which a line says that Ray is still awaited."""

_CLIENTS = 10001
"""The port of addresses `ray://HOST` that name none."""


def connect(address: str | None, cpus: int) -> None:
    """Connect this process to the cluster at an address, or start one for it.

    Args:
        address: of a running cluster, or None.
        cpus: of a cluster that is started.

    Raises:
        SearchError: there is no cluster at the address.
    """
    import ray

    if address is None:
        with _without_token():
            ray.init(
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        return
    try:
        _check_answers(address)
        with _line_if_slow(f"{address!r} answers; waiting for Ray there, for some minutes at most"):
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except (ValueError, ConnectionError, RuntimeError) as error:
        raise SearchError(f"no Ray cluster at {address!r}\n  {error}") from None


def _check_answers(address: str) -> None:
    parts = urlsplit(address if "://" in address else f"//{address}")
    host, port = parts.hostname, parts.port or (_CLIENTS if parts.scheme == "ray" else None)
    if host is None or port is None:  # such as `auto`, which Ray looks up at once
        return
    try:
        socket.create_connection((host, port), timeout=_ANSWER).close()
    except OSError as error:
        raise ConnectionError(f"nothing answers at {host}, port {port}: {error}") from None


@contextmanager
def _line_if_slow(line: str) -> Iterator[None]:
    timer = Timer(_SLOW, print, (line,), {"file": sys.stderr})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _without_token() -> Iterator[None]:
    # A cluster that lives and dies with this process needs no token file in the user's home.
    previous = os.environ.get("RAY_AUTH_MODE")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        yield
    finally:
        if previous is None:
            del os.environ["RAY_AUTH_MODE"]
