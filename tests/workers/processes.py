"""What becomes of a process that was ended by force."""

import time
from pathlib import Path


def gone(pid, patience=30.0):
    """Wait until a process is no more, or only its exit code is left to read."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")
