"""Operations worth a fast version, each beside an obvious reference with the same signature."""

import sys
from functools import lru_cache
from importlib.util import find_spec

__all__ = ["triton_available"]


@lru_cache(maxsize=1)
def triton_available() -> bool:
    """Say whether Triton is installed; where it is not, print one line about it, once."""
    if find_spec("triton") is not None:
        return True
    line = "dropsmith: no Triton here, so kernels on the GPU are torch's own operations, and slower"
    print(line, "  pip install triton", sep="\n", file=sys.stderr)
    return False
