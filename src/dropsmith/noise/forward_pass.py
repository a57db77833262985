"""One run of a model: what masks depend on beside the site, and how often each site has drawn."""

from dataclasses import dataclass, field

import torch

from dropsmith.errors import NoiseError
from dropsmith.interception import CallPosition, checkpointing

TRAINING, PREDICTION, PROBE = 0, 1, 2


Sizes = tuple[int, ...]


@dataclass
class ForwardPass:
    """One run of the model: what its masks depend on beside the site.

    Args:
        views: the views stacked in the batch, in order.
        quiet: those of them that run without noise.
        domain: training, prediction or probing; each has masks of its own.
        step: the step to draw for, or None for the model's own clock.
        sampling: whether noise is on although modules are in eval mode.
        rows: how many rows the stacked batch has, where that is known.
        call: of the forwards since that step that do not train, the one to draw for; 0 for the
            step itself.
        may_run_again: whether a site drew in a part that backward may run again.
        calls: how often each site has drawn.
        places: where in the forward each of these calls was made.
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
    may_run_again: bool = field(default=False, compare=False)
    calls: dict[str, int] = field(default_factory=dict, compare=False)
    places: dict[str, list[CallPosition]] = field(default_factory=dict, compare=False)
    recomputations: dict[tuple[str, int, int], int] = field(default_factory=dict, compare=False)
    shared_sizes: dict[str, tuple[str, tuple[int, ...]]] = field(
        default_factory=dict, compare=False
    )


def counter_of(site: str, name: str | None) -> str:
    """What the calls of a site are counted under."""
    # An embedding is one name for two sites, of which one may have its own mask.
    return site if name is None else f"{site} of {name}"


def in_backward() -> bool:
    """Whether a part of the forward is being run again for the backward pass."""
    # Compiled code does not run a checkpointed block by its hooks again.
    return not torch.compiler.is_compiling() and checkpointing.backward() != -1


def recomputed(counter: str, this: ForwardPass) -> int:
    """Which call of the forward a call in backward is the second run of."""
    if this.calls.get(counter, 1) == 1:
        return 0
    meant = checkpointing.recomputed_calls(this.places[counter])
    key = counter, min(meant, default=0), checkpointing.backward()
    done = this.recomputations.get(key, 0)
    if done >= len(meant):
        raise NoiseError(
            f"site {counter!r} drew {this.calls[counter]} masks in one forward and is now run "
            "again for backward, where it cannot be told which of them is meant\n"
            "  torch.utils.checkpoint tells it; leave other hooks on saved tensors out of what it "
            "runs, or the module that is used several times out of checkpointing"
        )
    this.recomputations[key] = done + 1
    return meant[done]
