"""The benchmarks are no part of the package: these tests need the root of the repository."""

import json
import time
from dataclasses import replace

import pytest
import torch

measuring = pytest.importorskip("benchmarks._measure", reason="run from the repository's root")
harness = pytest.importorskip("benchmarks._harness")
results = pytest.importorskip("benchmarks._results")

CPU = torch.device("cpu")


def case(tests=("tests/test_axes.py",), **ways):
    calls = ways or {"one": lambda: None, "two": lambda: None}
    comparison = harness.Comparison(name="nothing", ways=lambda d: calls, targets={"two": 5.0})
    return harness.Case(name="trial", tests=tests, comparisons=(comparison,), rounds=3)


def test_ways_are_timed_in_turns_and_none_is_always_first(monkeypatch):
    order = []
    calls = [(name, lambda name=name: order.append(name)) for name in "abc"]
    monkeypatch.setattr(measuring, "_count", lambda call, device: 1)
    monkeypatch.setattr(measuring, "_peak_bytes", lambda call, device: 0)
    got = measuring.measure(calls, CPU, rounds=3)
    assert "".join(order) == "abcbcacab"
    assert [len(one.seconds) for one in got] == [3, 3, 3]
    assert got[0].ratios == (1.0, 1.0, 1.0)
    assert got[1].ratios[0] == got[1].seconds[0] / got[0].seconds[0]


def test_the_clock_of_the_process_does_not_count_waiting():
    calls = [("waits", lambda: time.sleep(0.05)), ("waits too", lambda: time.sleep(0.05))]
    for clock, least, most in (("wall", 0.05, 5.0), ("cpu", 0.0, 0.02)):
        for one in measuring.measure(calls, CPU, rounds=2, clock=clock):
            assert all(least <= seconds < most for seconds in one.seconds)


def test_the_clock_of_the_process_is_refused_for_another_device(tmp_path):
    with pytest.raises(SystemExit, match="says nothing of work on cuda"):
        harness.main(case(), ["--device", "cuda", "--clock", "cpu", "--out", str(tmp_path)])


def test_a_comparison_for_another_device_is_left_out_and_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(harness, "_check_tests", lambda case: None)
    here = case().comparisons[0]
    both = replace(case(), comparisons=(here, replace(here, name="large", only="cuda")))
    harness.main(both, ["--out", str(tmp_path)])
    (written,) = tmp_path.glob("*.json")
    assert [one["name"] for one in json.loads(written.read_text())["comparisons"]] == ["nothing"]
    assert "left out, for it needs cuda: large" in capsys.readouterr().out


def test_the_clock_of_the_process_is_refused_for_the_work_of_other_processes(tmp_path):
    elsewhere = replace(case(), elsewhere=True)
    with pytest.raises(SystemExit, match="says nothing of trial, whose work other processes do"):
        harness.main(elsewhere, ["--clock", "cpu", "--out", str(tmp_path)])


def test_peak_memory_is_what_a_call_holds_at_once():
    def call():
        one = torch.empty(250_000)
        del one
        two, three = torch.empty(500_000), torch.empty(250_000)
        del two, three

    assert measuring._peak_bytes(call, CPU) == pytest.approx(3_000_000, rel=0.01)


def test_quartiles_are_those_of_the_definition():
    assert measuring.quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == (2.0, 3.0, 4.0)
    assert measuring.quartiles([7.0]) == (7.0, 7.0, 7.0)


@pytest.mark.slow
@pytest.mark.parametrize("tests", [("tests/no_such_file.py",), ("tests/benchmarks/failing.py",)])
def test_no_speed_is_printed_without_passing_tests(tests, capsys, tmp_path, monkeypatch):
    failing = tmp_path / "tests" / "benchmarks" / "failing.py"
    failing.parent.mkdir(parents=True)
    failing.write_text("def test_fails():\n    assert 0\n")
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="no speed"):
        harness.main(case(tests), ["--out", str(tmp_path)])
    assert "median" not in capsys.readouterr().out
    assert not list(tmp_path.glob("*.json"))


def test_a_run_writes_one_file_that_a_later_run_is_shown_beside(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(harness, "_check_tests", lambda case: None)
    harness.main(case(), ["--out", str(tmp_path)])
    harness.main(case(), ["--out", str(tmp_path), "--smoke"])
    (path,) = tmp_path.glob("trial_cpu_*.json")
    values = json.loads(path.read_text())
    (ways,) = (one["ways"] for one in values["comparisons"])
    assert (values["rounds"], values["clock"]) == (3, "wall")
    assert [way["name"] for way in ways] == ["one", "two"]
    assert [way["target"] for way in ways] == [None, 5.0]
    assert ways[0]["ratio"] == 1
    assert {"cpu", "torch", "commit", "platform"} <= set(values["environment"])
    capsys.readouterr()
    harness.main(case(), ["--out", str(tmp_path), "--against", str(path)])
    assert "earlier" in capsys.readouterr().out
    assert len(list(tmp_path.glob("trial_cpu_*_2.json"))) == 1


def test_threads_are_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "_check_tests", lambda case: None)
    seen, before = [], torch.get_num_threads()
    comparison = harness.Comparison(
        name="threads",
        ways=lambda d: {"one": lambda: seen.append(torch.get_num_threads())},
        threads=before + 1,
    )
    trial = harness.Case(name="trial", tests=(), comparisons=(comparison,), rounds=1)
    harness.main(trial, ["--out", str(tmp_path)])
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_every_way_of_an_r_drop_step_computes_the_same_loss():
    r_drop_step = pytest.importorskip("benchmarks.r_drop_step")
    models = pytest.importorskip("benchmarks._models")
    ids, labels = torch.randint(50, (3, 5)), torch.randint(4, (3,))
    losses = []
    for make in (r_drop_step.by_views, r_drop_step.by_consistent, r_drop_step.published):
        torch.manual_seed(0)
        # Torch's own draw, stacked: the same seed gives every way the same two views.
        model = models.Encoder(words=50, width=64, layers=1, rate=0.3).train()
        loss = make(model, ids, labels)
        torch.manual_seed(1)
        losses.append(loss().item())
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-4)


@pytest.mark.parametrize("words", ["--rounds 3 --out here", "--out here --rounds 3"])
def test_a_result_holds_what_was_asked_for_but_not_where_it_was_written(
    words, monkeypatch, tmp_path
):
    monkeypatch.setattr("sys.argv", ["benchmark", *words.split()])
    path = results.save("trial", [], CPU, 3, tmp_path)
    assert json.loads(path.read_text())["command"] == ["--rounds", "3"]
