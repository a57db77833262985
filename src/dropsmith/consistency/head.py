"""The large head of a consistent model, fused with its loss where that can be done.

After the first steps the head's scores are put off: `dropsmith.passes.fused_head` says how. The
objective makes its terms without them where it can. Where it cannot, or where the model or its
output has looked at them, they were made as always, and the head is left alone from then on.
"""

import sys
from typing import Literal

from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.instances import check_word
from dropsmith.kernels import lazy_logits
from dropsmith.passes import (
    LEAST_CLASSES,
    as_before,
    head_of,
    large_head,
    put_off,
    put_off_still,
    why_plain,
)

HeadChoice = Literal["auto", "fused", "plain"]
CHOICES = ("auto", "fused", "plain")
_NONE = (
    "this model has no head to fuse: no nn.Linear of its own, as torch made it, that gives "
    f"{LEAST_CLASSES:,} scores or more"
)


class FusedHead:
    """The head of one consistent model, from step to step.

    Args:
        choice: `auto` to fuse it where that can be done, `fused` to insist, `plain` to keep away.
    """

    def __init__(self, choice: HeadChoice) -> None:
        check_word("head", choice, CHOICES, ViewError)
        self.choice = choice
        self.off = choice == "plain"
        self.has_reported = False
        self.lazy_head: tuple[str, nn.Linear] | None = None

    def look_for_candidate(self, model: nn.Module) -> None:
        """Leave the head alone from now on where the model has no large one, unless one insists."""
        if self.choice == "auto" and not self.off:
            self.off = large_head(model) is None

    def begin(self, model: nn.Module, rank: int) -> None:
        """Put the head off for the passes of one step, or say once why it cannot be."""
        self.lazy_head = head_of(model)
        if self.lazy_head is not None:
            put_off(self.lazy_head[1])
        elif self.choice == "fused":
            raise ViewError((why_plain(model) or _NONE) + '\n  leave head out, or use head="plain"')
        elif not self.has_reported and (why := why_plain(model)) is not None:
            self._say(why, rank)

    def leave_plain(self, model: nn.Module, rank: int) -> None:
        """Leave the head as it is above a trunk, where its rows are those of several views."""
        candidate = None if self.off or self.has_reported else head_of(model)
        if candidate is not None:
            name, head = candidate
            self._say(
                f"the head {name!r} of {head.out_features:,} classes is not fused with the loss: "
                "the views share a trunk",
                rank,
            )

    def end(self) -> None:
        """Give the head that was put off its own forward back when the passes are over."""
        assert self.lazy_head is not None
        as_before(self.lazy_head[1])

    def judge(self, scores: tuple[Tensor, ...], rank: int) -> None:
        """Report once whether the head was fused with the loss, and if not, why.

        Args:
            scores: the views' logits, taken before a loss looked at them.
            rank: of the process; the first one reports.
        """
        lazy_head, self.lazy_head = self.lazy_head, None
        if lazy_head is None or self.has_reported:
            return
        name, head = lazy_head
        came_lazy = all(isinstance(x, lazy_logits.HeadScores) for x in scores)
        if put_off_still(scores):
            self._say(
                f"the head {name!r} of {head.out_features:,} classes is fused with the loss: its "
                "scores are made for some items at a time, and whole only where somebody looks at "
                'the logits; head="plain" keeps them',
                rank,
            )
            return
        self.off = True
        why = "the loss or the objective" if came_lazy else "the model, a hook or a compiler"
        if self.choice == "fused":
            raise ViewError(
                f"the head {name!r} cannot be fused with the loss: {why} looks at its scores\n"
                '  leave head out, or use head="plain"'
            )
        self._say(f"the head {name!r} is not fused with the loss: {why} looks at its scores", rank)

    def _say(self, line: str, rank: int) -> None:
        self.has_reported = True
        if rank == 0:
            print(f"dropsmith: {line}", file=sys.stderr)
