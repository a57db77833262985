"""Fast operations, each beside a simple reference with the same signature."""

import sys
from functools import lru_cache
from importlib.util import find_spec

__all__ = ["triton_available"]


@lru_cache(maxsize=1)
def triton_available() -> bool:
    """Say whether Triton is installed; print one line the first time that it is not."""
    if find_spec("triton") is not None:
        return True
    line = "dropsmith: Triton is not installed: torch's own, slower operations run on the GPU"
    print(line, "  pip install triton", sep="\n", file=sys.stderr)
    return False
