"""Triton's kernels in its interpreter and through its compiler, each in one process for all.

The interpreter has to be on before Triton is imported, which other tests in this process do.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import dropsmith

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SOURCE = Path(dropsmith.__file__).parents[1]
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed (it is where CI runs)"
)


def in_a_process_of_its_own(*args: str, **variables: str) -> str:
    known = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(SOURCE)]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, *args]
    done = subprocess.run(command, capture_output=True, text=True, env={**known, **variables})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_triton
def test_every_kernel_in_the_interpreter_agrees_with_its_definition():
    files = [str(HERE / f"{name}_interpreted.py") for name in ("dropout", "head", "lstm")]
    cases = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *files)
    assert "passed" in in_a_process_of_its_own(*cases, TRITON_INTERPRET="1")


@needs_triton
def test_every_kernel_compiles_for_a_gpu_that_is_not_here(tmp_path):
    code = (
        "from kernels import head_compiled, lstm_compiled\n"
        "head_compiled.main()\n"
        "lstm_compiled.main()"
    )
    made = in_a_process_of_its_own("-c", code, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    assert made.split() == ["loss_rows"] * 4 + ["forward_step"] * 2 + ["backward_step"] * 3
