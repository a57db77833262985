"""The environment and the cost of a run, for its record."""

import math
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dropsmith.tasks import Data, device_of
from dropsmith.train._setup import Setup
from dropsmith.train.environment import describe_environment
from dropsmith.train.state import State


def surroundings(
    setup: Setup, state: State, data: Data, signatures: Mapping[str, str]
) -> dict[str, Any]:
    """Versions, device and data; examples without a label, start weights and fused head if any.

    Args:
        setup: of the run.
        state: at the end of the run.
        data: of the run.
        signatures: of the scores of generated texts; empty without any.
    """
    facts: dict[str, Any] = {"data_given": setup.data_given}
    if signatures:
        facts["signatures"] = dict(signatures)
    if data.unlabelled is not None:
        facts["unlabelled_examples"] = len(data.unlabelled)
    if setup.start is not None:
        facts["start"] = setup.start.description
    if state.fused_head is not None:
        facts["fused_head"] = state.fused_head
    return describe_environment(data, device_of(state.model)) | facts


def cost(state: State, views: int) -> dict[str, float]:
    """Time, memory, steps and example-views.

    Processor time is included on a CPU only, and if all of the run was measured.
    """
    processor_seconds = state.processor_seconds
    measured = device_of(state.model).type == "cpu" and not math.isnan(processor_seconds)
    return {
        "seconds": state.seconds,
        **({"processor_seconds": processor_seconds} if measured else {}),
        "peak_memory_bytes": state.peak_bytes,
        "example_views": views,
        "steps": state.step,
    }


_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak(device: torch.device) -> None:
    """Reset the measured peak, if the system can.

    Linux can reset the peak of a process; on other systems it is that since the process began.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        try:
            _CLEAR.write_text("5")
        except OSError:  # forbidden in some containers: the peak then includes earlier runs
            return


def peak_bytes(device: torch.device) -> int:
    """The peak memory since `forget_peak`: of the device on CUDA, else resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
