"""Tests of patterns: those that compile are slow, also where the public contract has them."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the test of the contract that compiles, in every class that has the contract."""
    for item in items:
        if item.name.startswith("test_compiled_code_draws_the_same_mask"):
            item.add_marker(pytest.mark.slow)
