"""A file is refused that cannot be run, or gives other numbers than `predict`."""

import pytest
import torch

from dropsmith.deployment.check import Case, check_file
from dropsmith.errors import ExportError

DRAW = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]])
INPUTS = {"seed": torch.tensor(0, dtype=torch.int32)}


def check(*outputs: torch.Tensor, spread: float = 0.4, dtype: torch.dtype = torch.float32) -> None:
    case = Case(INPUTS, {"draw": DRAW.to(dtype)}, spread)
    check_file(lambda: lambda inputs: list(outputs), [case], "the runtime")


@pytest.mark.parametrize("factor", [1.0, 1 + 2e-7, 1 - 1e-5])
def test_what_rounding_explains_passes(factor):
    check(DRAW * factor)


@pytest.mark.parametrize(
    "output",
    [DRAW.flip(0), DRAW + 0.01, DRAW.clone().fill_(float("nan")), DRAW * 1.001],
    ids=["rows", "shift", "nan", "coarse"],
)
def test_other_numbers_are_refused(output):
    with pytest.raises(ExportError, match=r"runtime does not give what dropsmith\.predict gives"):
        check(output)


def test_samples_that_lie_close_together_are_compared_more_strictly():
    output = DRAW * (1 + 5e-5)
    check(output, spread=1.0)
    with pytest.raises(ExportError, match="draw differs by"):
        check(output, spread=1e-4)


def test_double_precision_is_held_to_more_digits():
    with pytest.raises(ExportError, match="draw differs by"):
        check(DRAW.double() * (1 + 1e-6), dtype=torch.float64)


@pytest.mark.parametrize("output", [DRAW[:1], DRAW[None], DRAW.T], ids=["fewer", "axis", "turned"])
def test_another_shape_is_refused(output):
    with pytest.raises(ExportError, match="the shape"):
        check(output)


def test_a_runtime_that_fails_is_named_with_its_reason():
    def load():
        raise RuntimeError("\n no kernel for Cos\nand more")

    with pytest.raises(ExportError) as caught:
        check_file(load, [Case(INPUTS, {"draw": DRAW}, 1.0)], "onnxruntime")
    assert "onnxruntime cannot run the file that was written: RuntimeError: no kernel for Cos" in (
        str(caught.value)
    )
