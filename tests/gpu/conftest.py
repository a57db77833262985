"""What only a machine with a GPU can show; elsewhere all of it is skipped.

`python -m pytest tests/gpu` on such a machine. Triton's kernels are held to their references in its
interpreter by the other tests; here they run for real.
"""

import pytest
import torch


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    """The first GPU."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    return torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def exact(gpu: torch.device):
    """Products of float32 in float32, so that they can be held to float64."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
