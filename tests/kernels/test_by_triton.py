"""Where Triton is not, it is said once and torch's operations do the work."""

from dropsmith.kernels import by_triton


def test_without_triton_it_is_said_once(monkeypatch, capsys):
    monkeypatch.setattr(by_triton, "find_spec", lambda name: None)
    by_triton.there.cache_clear()
    assert [by_triton.there() for _ in range(2)] == [False, False]
    assert capsys.readouterr().err.count("no Triton here") == 1
    by_triton.there.cache_clear()
