"""One run of a model: what its masks depend on beside the site, and how it is run again."""

from dataclasses import dataclass, field

import torch

from dropsmith.errors import NoiseError
from dropsmith.interception import CallPosition, checkpointing
from dropsmith.noise.draw_keys import DrawKeys
from dropsmith.noise.growing_sequence import SequenceMasks

TRAINING, PREDICTION, PROBE = 0, 1, 2


@dataclass
class ForwardPass:
    """One run of the model: what its masks depend on beside the site.

    Args:
        views: the views stacked in the batch, in order.
        noise_free: those of them that run without noise.
        domain: training, prediction or probing; each has masks of its own.
        step: the step to draw for, or None for the model's own clock.
        sampling: whether noise is on although modules are in eval mode.
        rows: how many rows the stacked batch has, where that is known.
        call: of the forwards since that step that do not train, the one to draw for; 0 for the
            step itself.
        strata: how many views that follow one another are stratified together, from view 0 on;
            0 for views that are independent.
        held: where the pass has several steps, the source of masks that hold over them.
        keys: the keys of its draws, where they are made together beforehand.
        may_run_again: whether a site drew in a part that backward may run again.
        calls: how often each site has drawn.
        places: where in the forward those of these calls were made that backward may run again.
        recomputations: how often each site has drawn in a part that was run again, by its first
            call there and the number of the backward pass.
        shared_sizes: the sizes of masks that several sites or calls share, and who drew them first.
    """

    views: tuple[int, ...] = (0,)
    noise_free: tuple[int, ...] = ()
    domain: int = TRAINING
    step: int | None = None
    sampling: bool = False
    rows: int | None = None
    call: int = 0
    strata: int = 0
    held: SequenceMasks | None = field(default=None, compare=False)
    keys: DrawKeys | None = field(default=None, compare=False)
    may_run_again: bool = field(default=False, compare=False)
    calls: dict[str, int] = field(default_factory=dict, compare=False)
    places: dict[str, dict[int, CallPosition]] = field(default_factory=dict, compare=False)
    recomputations: dict[tuple[str, int, int], int] = field(default_factory=dict, compare=False)
    shared_sizes: dict[str, tuple[str, tuple[int, ...]]] = field(
        default_factory=dict, compare=False
    )

    def begin_step(self, calls: dict[str, int]) -> None:
        """A step of a pass that has several begins: its sites draw what they drew in the last.

        Args:
            calls: how often each site had drawn before the first step.
        """
        self.calls, self.shared_sizes = dict(calls), {}


def in_backward() -> bool:
    """Say whether a part of the forward is being run again for the backward pass."""
    # Compiled code does not run a checkpointed block by its hooks again.
    return not torch.compiler.is_compiling() and checkpointing.backward() != -1


def recomputed_call(counter: str, forward_pass: ForwardPass) -> int:
    """Return the call of the forward that a call in backward runs again."""
    if forward_pass.calls.get(counter, 1) == 1:
        return 0
    calls = checkpointing.recomputed_calls(forward_pass.places.get(counter, {}))
    key = counter, min(calls, default=0), checkpointing.backward()
    count = forward_pass.recomputations.get(key, 0)
    if count >= len(calls):
        raise NoiseError(
            f"site {counter!r} drew {forward_pass.calls[counter]} masks in one forward and is now "
            "run again for backward, where it cannot be told which of them is meant\n"
            "  torch.utils.checkpoint tells it; leave other hooks on saved tensors out of what it "
            "runs, or the module that is used several times out of checkpointing"
        )
    forward_pass.recomputations[key] = count + 1
    return calls[count]
