import math

import pytest
import torch
from torch import nn

from dropsmith.tasks import find_task
from dropsmith.train.accounting import cost, forget_peak, peak_bytes, surroundings
from dropsmith.train.environment import describe_environment
from dropsmith.train.state import State
from train.setups import digits


@pytest.fixture
def state():
    net = nn.Linear(2, 1)
    found = State(net, torch.optim.SGD(net.parameters(), lr=0.1))
    found.seconds, found.processor_seconds, found.step = 3.0, 5.0, 7
    return found


def test_a_run_costs_what_its_state_has_counted(state):
    found = cost(state, 70)
    assert (found["seconds"], found["processor_seconds"]) == (3.0, 5.0)
    assert (found["steps"], found["example_views"]) == (7, 70)


def test_processors_that_were_counted_in_part_alone_are_left_out(state):
    state.processor_seconds = math.nan
    assert "processor_seconds" not in cost(state, 70)


def test_only_what_there_was_is_told(state):
    data = find_task("digits").load(limit=100)
    plain = describe_environment(data, torch.device("cpu")) | {"data_given": False}
    assert surroundings(digits(), state, data, {}) == plain
    state.fused_head = "head"
    more = {"signatures": {"BLEU": "x"}, "fused_head": "head"}
    assert surroundings(digits(), state, data, {"BLEU": "x"}) == plain | more


CPU = torch.device("cpu")


def test_the_peak_holds_what_was_used_and_given_back():
    forget_peak(CPU)
    before = peak_bytes(CPU)
    size = 2**27
    torch.ones(size // 4)
    assert peak_bytes(CPU) >= before + size // 2


def test_without_the_systems_files_it_is_the_peak_of_the_process(monkeypatch, tmp_path):
    import resource

    monkeypatch.setattr("dropsmith.train.accounting._STATUS", tmp_path / "no status")
    monkeypatch.setattr("dropsmith.train.accounting._CLEAR", tmp_path / "no clear")
    monkeypatch.setattr("sys.platform", "linux")
    forget_peak(CPU)
    assert peak_bytes(CPU) == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
