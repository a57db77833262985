"""What a record says of a run beside its scores: what it was made with, and what it cost."""

import math
from collections.abc import Mapping
from typing import Any

from dropsmith.tasks import Data, device_of
from dropsmith.train._setup import Setup
from dropsmith.train.environment import environment
from dropsmith.train.state import State


def surroundings(
    setup: Setup, state: State, data: Data, signatures: Mapping[str, str]
) -> dict[str, Any]:
    """Versions, device and data; where there were such: weights it began from, a fused head.

    Args:
        setup: of the run.
        state: at its end.
        data: what it was trained and scored on.
        signatures: how what it wrote was scored; empty where it wrote nothing.
    """
    own: dict[str, Any] = {"data_given": setup.data_given}
    if signatures:
        own["signatures"] = dict(signatures)
    if setup.start is not None:
        own["start"] = setup.start.told
    if state.fused_head is not None:
        own["fused_head"] = state.fused_head
    return environment(data, device_of(state.model)) | own


def cost(state: State, views: int) -> dict[str, float]:
    """Time, memory, steps and example-views.

    What processors worked tells the price of a step where they do all of it, and is left out
    elsewhere, or where a part of the run was made before it was counted.
    """
    worked = state.processor_seconds
    known = device_of(state.model).type == "cpu" and not math.isnan(worked)
    return {
        "seconds": state.seconds,
        **({"processor_seconds": worked} if known else {}),
        "peak_memory_bytes": state.peak_bytes,
        "example_views": views,
        "steps": state.step,
    }
