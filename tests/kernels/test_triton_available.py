"""Where Triton is not, it is said once and torch's operations do the work."""

import importlib

from dropsmith.kernels import triton_available


def test_without_triton_it_is_said_once(monkeypatch, capsys):
    module = importlib.import_module("dropsmith.kernels")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    triton_available.cache_clear()
    assert [triton_available() for _ in range(2)] == [False, False]
    assert capsys.readouterr().err.count("Triton is not installed") == 1
    triton_available.cache_clear()
