"""Products with a weight laid out beforehand, and a torch that cannot lay it out."""

import importlib
import warnings

import pytest
import torch

from dropsmith.kernels.prepacked_matmul import prepacked_matmul

packing = importlib.import_module("dropsmith.kernels.prepacked_matmul.onednn")
WEIGHT = torch.randn(80, 96, generator=torch.Generator().manual_seed(0))
X = torch.randn(5, 96, generator=torch.Generator().manual_seed(1))
EXACT = (X.double() @ WEIGHT.double().t()).float()


@pytest.fixture
def looked_for_anew():
    packing._available.cache_clear()
    yield
    packing._available.cache_clear()


def test_a_product_is_that_of_float64():
    torch.testing.assert_close(prepacked_matmul(WEIGHT, 5)(X), EXACT, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("looked_for_anew")
def test_a_torch_without_the_operation_is_named_in_one_warning_and_still_right(monkeypatch):
    monkeypatch.setattr(packing, "_OPERATIONS", ("_linear_pointwise", "_an_operation_of_tomorrow"))
    with pytest.warns(UserWarning, match="has no mkldnn::_an_operation_of_tomorrow") as said:
        product = prepacked_matmul(WEIGHT, 5)
    assert len(said) == 1
    torch.testing.assert_close(product(X), EXACT, rtol=1e-5, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepacked_matmul(WEIGHT, 5)


@pytest.mark.usefixtures("looked_for_anew")
def test_a_product_that_fails_or_is_wrong_is_a_warning_too(monkeypatch):
    def fails(weight, rows):
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(packing, "prepack", fails)
    with pytest.warns(UserWarning, match=r"cannot run .*could not create a primitive"):
        assert not packing.can_prepack(WEIGHT)
    packing._available.cache_clear()
    monkeypatch.setattr(packing, "prepack", lambda weight, rows: lambda x: x)
    with pytest.warns(UserWarning, match="wrong product"):
        assert not packing.can_prepack(WEIGHT)
