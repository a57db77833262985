"""A trace sees what a model runs, whether torch's compiler is loaded or not."""

import pytest
import torch
from torch import nn

from dropsmith.interception import module_trace
from dropsmith.interception.module_trace import compiler_off
from dropsmith.noise import sites


class CompilesLate(nn.Module):
    """Compiles its layers in its first forward."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
        self.compiled = None

    def forward(self, x):
        if self.compiled is None:
            self.compiled = torch.compile(self.net, backend="eager")
        return self.compiled(x)


@pytest.fixture(params=[True, False])
def loaded(request, monkeypatch):
    """Whether the compiler is taken for loaded."""
    monkeypatch.setattr(module_trace, "_compiler_is_loaded", lambda: request.param)
    yield request.param
    torch._dynamo.reset()


def stance():
    from torch._dynamo.eval_frame import _stance

    return _stance.stance


def test_nothing_that_is_compiled_in_the_block_runs_compiled(loaded):
    before, seen = torch.compile, []

    def backend(graph, inputs):
        seen.append(graph)
        return graph

    with compiler_off():
        compiled = torch.compile(lambda x: x + 1, backend=backend)
        assert compiled(torch.zeros(2)).tolist() == [1, 1]
        assert stance() == "force_eager"
    assert seen == []
    assert torch.compile is before
    assert stance() == "default"
    compiled(torch.zeros(2))
    assert len(seen) == 1


def test_an_error_in_the_block_leaves_the_compiler_as_it_was(loaded):
    before = torch.compile

    def compile_and_fail():
        with compiler_off():
            torch.compile(nn.Linear(2, 2))
            raise KeyError

    with pytest.raises(KeyError):
        compile_and_fail()
    assert torch.compile is before
    assert stance() == "default"


def test_layers_that_a_forward_compiles_are_found(loaded):
    found = sites(CompilesLate(), torch.zeros(2, 3))
    assert "net.1" in {site.name for site in found if site.kind == "dropout"}
