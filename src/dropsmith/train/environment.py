"""The machine, versions and data of a run, for its record."""

import hashlib
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dropsmith import __version__
from dropsmith.tasks import Data

HASHES = {
    "data_sha256": "on other data",
    "unlabelled_sha256": "with other examples without a label",
    "model_sha256": "with another model",
    "code_sha256": "with other code of your own",
}
"""The hashes in a record's environment, each with words for a run in which it differs."""


def describe_environment(data: Data, device: torch.device) -> dict[str, Any]:
    """Versions, device, threads, commit and data, as JSON values."""
    return {
        "dropsmith": __version__,
        "commit": commit(Path(__file__).parent),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "accelerate": version("accelerate"),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "data_sha256": data.sha256,
        "data_source": data.source,
        **({"vocabulary_sha256": words} if (words := words_hash(data)) else {}),
    }


def words_hash(data: Data) -> str | None:
    """A hash of the vocabulary in the order of its ids; None without a vocabulary."""
    words = "\n".join(data.vocabulary)
    return hashlib.sha256(words.encode()).hexdigest() if words else None


def device_name(device: torch.device) -> str:
    """The name of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    # Rounding of sums depends on the kind of processor.
    return f"{processor()} CPU, {torch.backends.cpu.get_cpu_capability()}"


def precision_note(precision: str) -> str | None:
    """A sentence where a precision makes a run slower on this machine; None elsewhere.

    The products of matrices are timed, in some milliseconds: a processor may have instructions for
    bf16 and still take longer than for float32.

    >>> precision_note("no") is None
    True
    """
    if precision != "bf16" or torch.accelerator.is_available():
        return None
    ratio = _product_seconds(torch.bfloat16) / _product_seconds(torch.float32)
    if ratio <= 1:
        return None
    return (
        f"a product of matrices takes {ratio:.1f} times as long in bf16 as in float32 on this "
        "processor, so a run with --precision bf16 takes longer than one without"
    )


def _product_seconds(dtype: torch.dtype, size: int = 256, rounds: int = 5) -> float:
    """The least seconds of some products of two square matrices, after a first one."""
    x = torch.ones(size, size, dtype=dtype)
    times: list[float] = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        torch.mm(x, x)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def processor() -> str:
    """The name of the CPU, from the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def commit(folder: Path) -> str | None:
    """The git commit of a folder's files, with `+` if they have changes.

    None without a repository, as in an installed package.
    """
    try:
        if not _git(folder, "ls-files", "."):
            return None
        return _git(folder, "rev-parse", "HEAD") + ("+" if _git(folder, *_CHANGES) else "")
    except (OSError, subprocess.SubprocessError):
        return None


_CHANGES = ("status", "--porcelain", "--untracked-files=no")


def _git(folder: Path, *words: str) -> str:
    process = subprocess.run(
        ("git", *words), cwd=folder, capture_output=True, text=True, timeout=10, check=True
    )
    return process.stdout.strip()


_SMALL = 1e-39
"""A subnormal float32."""


@contextmanager
def flush_subnormals() -> Iterator[None]:
    """Treat subnormal numbers as zero on this thread in a `with` block, if the CPU supports it.

    A processor may take a hundred times as long for float32 numbers below 1.2e-38. Gradients that
    vanish over a long sequence become as small: backward through two hundred steps of an LSTM can
    take ten times as long.

    >>> with flush_subnormals():
    ...     small = torch.tensor(1e-30) * torch.tensor(1e-9)
    >>> float(small), float(torch.tensor(1e-30) * torch.tensor(1e-9)) > 0
    (0.0, True)
    """
    before = _flushing()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushing() -> bool:
    # torch can set this flag but not read it.
    return not float(torch.full((), _SMALL).mul(1.0))
