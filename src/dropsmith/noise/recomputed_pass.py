"""The pass that a part of a forward belongs to, kept until activation checkpointing runs it again.

By then another pass may have begun. Where torch shows which part it runs again, the pass is kept
with that part, whatever the model returned; elsewhere hooks on what the model returned bring it
back, see `Noise.restore_in_backward`.
"""

from dataclasses import replace

from dropsmith.interception import checkpointing
from dropsmith.noise.state import Noise


def keep_pass(noise: Noise) -> None:
    """Keep the pass that is running with the part of the forward that is."""
    step, call = noise.clock.numbers_of(noise.current)
    checkpointing.attach_to_part(_name(noise), replace(noise.current, step=step, call=call))


def restore_pass(noise: Noise) -> None:
    """Come back to the pass of the part that backward runs again, where it was kept."""
    forward_pass = checkpointing.value_of_part(_name(noise))
    if forward_pass is not None:
        noise.current = forward_pass


def _name(noise: Noise) -> str:
    return f"_dropsmith_pass_{id(noise)}"
