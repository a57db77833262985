"""What the benchmark of the head times is the same work."""

import pytest
import torch

benchmark = pytest.importorskip(
    "benchmarks.fused_linear_consistency", reason="run from the repository's root"
)


def drawn():
    torch.manual_seed(0)
    hidden = torch.randn(2, 6, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 5, dtype=torch.float64, requires_grad=True)
    return hidden, weight, torch.randint(11, (6,))


@pytest.mark.parametrize("way", ["fused", "from_scores"])
def test_our_ways_give_the_published_loss_and_gradients(way):
    hidden, weight, labels = drawn()
    found = getattr(benchmark, way)(hidden, weight, labels)
    expected = benchmark.published(hidden, weight, labels)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    ours = torch.autograd.grad(found, (hidden, weight))
    theirs = torch.autograd.grad(expected, (hidden, weight))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_what_needs_a_gpu_is_asked_for_on_a_gpu_alone(monkeypatch):
    monkeypatch.setattr(benchmark, "find_spec", lambda name: name)
    assert "liger-kernel" not in benchmark.ways_on(torch.device("cpu"))
    assert "liger-kernel" in benchmark.ways_on(torch.device("cuda"))
    assert [one.only for one in benchmark.CASE.comparisons] == [None, None, "cuda", "cuda"]
