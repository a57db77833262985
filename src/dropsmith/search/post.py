"""The study's end of the mailbox, which Ray may restart at any time, with nothing in it."""

from time import monotonic
from typing import Any, final

import ray
from ray.exceptions import ActorDiedError, RayError

from dropsmith.search.mailbox import Mailbox, Said

_AGAIN = 2.0
"""Seconds after which a mailbox is asked once more: it may have forgotten what it was asked."""

_PATIENCE = 120.0
"""Seconds after which it is not asked again."""


@final
class Post:
    """Hears what the trials say, whatever becomes of the mailbox.

    Attributes:
        mail: the mailbox, for those that write.
        heard: is ready when something was said, or the mailbox is gone.
    """

    def __init__(self) -> None:
        self._marks = 0
        self.mail = _mailbox()
        self.heard: Any = self.mail.take.remote()

    def take(self) -> list[Said]:
        """What was said since; None among it where some of that is lost with the mailbox."""
        try:
            return ray.get(self.heard)
        except ActorDiedError:
            self.mail = _mailbox()
            return [None]
        except RayError:
            return [None]
        finally:
            self.heard = self.mail.take.remote()

    def take_all(self) -> list[Said]:
        """What was said until now, of which a first take need not hold all."""
        until, mark = monotonic() + _PATIENCE, self._mark()
        said: list[Said] = []
        while mark not in said and monotonic() < until:
            ready, _ = ray.wait([self.heard], timeout=_AGAIN, fetch_local=True)
            new = self.take() if ready else []
            said += new
            if not ready or None in new:  # the mark may be lost, too
                mark = self._mark()
        return said

    def close(self) -> None:
        """End the mailbox."""
        ray.kill(self.mail)

    def _mark(self) -> int:
        self._marks += 1
        self.mail.mark.remote(self._marks)
        return self._marks


def _mailbox() -> Any:
    return ray.remote(num_cpus=0, max_restarts=-1)(Mailbox).remote()
