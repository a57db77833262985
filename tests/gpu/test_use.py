"""Training, agreement, prediction, comparing and searching on a GPU."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.models import TransformerXL, WideResNet
from dropsmith.objectives import TaskLoss
from dropsmith.recurrent import LSTM, Triton
from dropsmith.tasks import find_task
from dropsmith.train import Setup, train


def classifier() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)
    )


@pytest.mark.parametrize("half", [False, True])
def test_r_drop_has_on_a_gpu_the_loss_it_has_on_a_cpu(gpu, half):
    x, y = torch.randn(32, 8), torch.arange(32) % 3
    losses = []
    for device in ("cpu", gpu):
        plan = ds.Plan(ds.rule("1 2", ds.Bernoulli(rate=0.3)))
        model = ds.consistent(
            classifier().to(device), ds.RDrop(alpha=1), plan=plan, loss="classification"
        )
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            out = model(x.to(device), labels=y.to(device))
        out.loss.backward()
        losses.append(float(out.loss))
    assert losses[0] == pytest.approx(losses[1], rel=2e-2 if half else 1e-5)


def test_an_audit_measures_the_rate_on_a_gpu(gpu):
    found = ds.audit(classifier().to(gpu), torch.randn(256, 8, device=gpu))
    assert found["2"].on
    assert found["2"].dropped == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("replay", [True, False])
def test_predictions_vary_and_come_back(gpu, replay):
    model, x = classifier().to(gpu), torch.randn(16, 8, device=gpu)
    first, second = (ds.predict(model, x, samples=20, replay=replay) for _ in range(2))
    assert torch.equal(first.mean, second.mean)
    assert float(first.mutual_information.min()) > 0


def test_a_compiled_model_drops_what_the_eager_one_drops(gpu):
    plan = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.3)))
    models = [classifier().to(gpu) for _ in range(2)]
    for model in models:
        plan.install(model, seed=1)
        model[2].p = 0.0
    models[1].compile()
    x = torch.randn(16, 8, device=gpu)
    for _ in range(3):
        eager, compiled = (model(x) for model in models)
        torch.testing.assert_close(eager, compiled)


def test_wide_resnet_under_tiles_in_half_precision_learns(gpu):
    model = WideResNet(depth=10, width=1, classes=10).to(gpu, memory_format=torch.channels_last)
    ds.Plan(ds.rule("stages.*.*.norm1", ds.Tiles(size=4, stride=8, side=32))).install(model)
    assert steps(model, torch.randn(32, 3, 32, 32, device=gpu)) < 2.0


def test_a_transformer_xl_under_spans_learns(gpu):
    model = TransformerXL(words=50, width=32, heads=2, layers=2, feed=64, memory=8).to(gpu)
    ds.Plan(ds.rule("layers.*.attended", ds.Spans(size=2, stride=6))).install(model)
    ids = torch.randint(50, (4, 8), device=gpu)
    loss = nn.functional.cross_entropy(model(ids).logits.flatten(0, 1), ids.flatten())
    loss.backward()
    assert bool(loss.isfinite())


def steps(model: nn.Module, x: torch.Tensor) -> float:
    labels = torch.arange(len(x), device=x.device) % 10
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    loss = torch.zeros(())
    for _ in range(30):
        with torch.autocast("cuda", torch.bfloat16):
            loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss)


@pytest.mark.parametrize("kernel", [None, Triton()], ids=["torch", "triton"])
def test_a_variational_lstm_has_the_same_gradients_on_both(gpu, kernel):
    torch.manual_seed(0)
    here = LSTM(6, 40)
    ds.Plan(ds.rule("root.recurrent", ds.Bernoulli(rate=0.3, shared="time gate"))).install(here)
    there = copy.deepcopy(here).to(gpu)
    there.kernel = kernel
    x = torch.randn(5, 3, 6)
    for layer, given in ((here, x), (there, x.to(gpu))):
        layer(given)[0].square().sum().backward()
    for a, b in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(b.grad.cpu(), a.grad, atol=1e-4, rtol=1e-4)  # pyright: ignore


class Stop(Exception):
    pass


def test_a_run_that_was_interrupted_ends_with_the_very_same_weights(gpu, tmp_path):
    from dataclasses import replace

    from dropsmith.train import Saving

    task = find_task("digits")
    plan = task.plan("dropout", 0.2)
    setup = Setup(
        task="digits",
        method="dropout",
        plan=plan,
        objective=TaskLoss(),
        budget=replace(task.budget, epochs=2),
        seed=0,
    )
    whole = train(setup, tmp_path / "whole")
    assert "NVIDIA" in whole.environment["device"]

    def stop(share: float) -> None:
        if share > 0.5:
            raise Stop

    with pytest.raises(Stop):
        train(setup, tmp_path / "part", progress=stop, saving=Saving(seconds=0))
    again = train(setup, tmp_path / "part")
    assert [row["train_loss"] for row in again.curve] == [row["train_loss"] for row in whole.curve]
    for name in ("validation_nll", "test_nll", "test_accuracy"):
        assert again.scores[name] == whole.scores[name]
    # A histogram on a GPU is added up in any order.
    assert again.scores == pytest.approx(whole.scores)


def dropsmith(words: str, out: Path) -> None:
    command = [sys.executable, "-m", "dropsmith", *words.split(), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_processes_compare_on_one_gpu(gpu, tmp_path):
    dropsmith(
        "compare digits --with none,dropout --trials 1 --seeds 2 --budget 1 --processes 2", tmp_path
    )
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("*.json")]
    devices = [one["environment"]["device"] for one in records if "curve" in one]
    assert devices
    assert all("NVIDIA" in device for device in devices)


def test_two_workers_search_on_one_gpu(gpu, tmp_path):
    dropsmith("search digits --trials 4 --workers 2 --budget 1", tmp_path)
    assert (tmp_path / "plan.json").is_file()
