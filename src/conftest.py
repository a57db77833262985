"""Files that import Triton have doctests to collect only where it is installed."""

from importlib.util import find_spec

_STEPS = "dropsmith/kernels/lstm/triton_"
_IMPORTING = [f"{_STEPS}{name}.py" for name in ("tiles", "forward", "backward")]
_IMPORTING += ["dropsmith/kernels/fused_linear_consistency/triton_rows.py"]
collect_ignore = [] if find_spec("triton") else _IMPORTING
