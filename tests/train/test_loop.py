import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dropsmith.errors import CheckpointError, SiteError, TaskError, TrainingError
from dropsmith.objectives import ExpectationLinear, LRDrop, TwoSample
from dropsmith.run_folder import RECORD, WEIGHTS, read_record
from dropsmith.tasks import Budget, find_task
from dropsmith.train import Saving, evaluate, loop, run, task_and_data, train
from dropsmith.train.checkpoint import FILE
from train.setups import SHORT, digits

pytestmark = pytest.mark.slow

NEVER = Saving(seconds=1e9)


def weights(folder):
    return load_file(folder / WEIGHTS)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def timeless(record):
    """What a record says of the run itself, without how long it took."""
    curve = [{k: v for k, v in row.items() if k != "seconds"} for row in record.curve]
    return curve, record.scores, record.cost["example_views"], record.cost["steps"]


class Stop(Exception):
    pass


def stop_at(share):
    def progress(done, /):
        if done >= share:
            raise Stop

    return progress


def test_training_makes_the_loss_smaller_and_better_than_chance(tmp_path):
    record = train(digits(views=1, budget=replace(SHORT, epochs=10)), tmp_path)
    losses = [row["train_loss"] for row in record.curve]
    assert losses[-1] < 0.7 * losses[0]
    # 897 test images of ten classes: chance is right 90 times, give or take 9.
    assert record.scores["test_accuracy"] > 0.1 + 5 * 0.01


def test_the_terms_of_the_loss_are_told_after_each_step_and_end_at_those_of_the_curve(tmp_path):
    told = []
    record = train(digits(), tmp_path, on_terms=told.append)
    assert len(told) == record.cost["steps"]
    assert {tuple(terms) for terms in told} == {("task", "consistency")}
    steps = [int(row["step"]) for row in record.curve]
    curve = [
        {"task": row["train_loss"], "consistency": row["train_consistency"]} for row in record.curve
    ]
    assert [told[step - 1] for step in steps] == curve
    assert len({terms["task"] for terms in told}) == len(told)


def test_of_a_plain_loss_the_task_is_the_only_term(tmp_path):
    told = []
    train(digits(views=1), tmp_path, on_terms=told.append)
    assert {tuple(terms) for terms in told} == {("task",)}


def test_a_record_holds_the_curve_the_scores_the_cost_and_where_it_ran(tmp_path):
    setup = digits()
    record = train(setup, tmp_path)
    assert record.config == setup.to_json()
    assert [row["epoch"] for row in record.curve] == [1.2, 2.0]
    assert [row["step"] for row in record.curve] == [3, 5]
    assert record.cost["example_views"] == record.curve[-1]["views"] == 200
    assert 0 < record.curve[0]["seconds"] < record.cost["seconds"]
    assert record.cost["processor_seconds"] > 0
    assert record.cost["peak_memory_bytes"] > 10_000_000
    assert {"test_nll", "test_accuracy", "validation_nll", "validation_accuracy"} <= set(
        record.scores
    )
    assert record.environment["data_sha256"] == find_task("digits").load(limit=100).sha256
    assert read_record(tmp_path) == record
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"README.md", "config.json", WEIGHTS, "plan.json", RECORD}


OVERFITTING = digits(views=1, noise=False, budget=replace(SHORT, epochs=20, learning_rate=0.02))


@pytest.mark.slow
def test_the_best_weights_on_validation_are_the_ones_scored_on_test(tmp_path):
    record = train(OVERFITTING, tmp_path)
    best = min(row["validation_nll"] for row in record.curve)
    assert best < record.curve[-1]["validation_nll"], "the last weights are the best: no test"
    assert record.scores["validation_nll"] == pytest.approx(best)
    task = find_task("digits")
    data = task.load(limit=100)
    model = task.model(data)
    model.load_state_dict(weights(tmp_path))
    assert evaluate(model, task, data.test)["nll"] == pytest.approx(record.scores["test_nll"])


def test_the_same_setup_makes_the_same_weights_whatever_was_drawn_before(tmp_path):
    torch.manual_seed(1)
    first = train(digits(), tmp_path / "a")
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = train(digits(), tmp_path / "b")
    assert torch.equal(torch.get_rng_state(), before)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert timeless(first) == timeless(second)


@pytest.mark.parametrize("change", [{"seed": 1}, {"noise": False}, {"objective": TwoSample()}])
def test_another_seed_plan_or_objective_makes_other_weights(tmp_path, change):
    train(digits(), tmp_path / "a")
    train(digits(**change), tmp_path / "b")
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_methods_of_one_seed_begin_with_the_same_weights(tmp_path):
    starts = []
    for name, setup in (("a", digits(views=1)), ("b", digits(objective=TwoSample()))):
        with pytest.raises(Stop):
            train(
                replace(setup, budget=replace(SHORT, learning_rate=0.0)),
                tmp_path / name,
                progress=stop_at(0),
                saving=Saving(steps=1),
            )
        saved = load_file(tmp_path / name / FILE)
        starts.append({k: v for k, v in saved.items() if k.startswith("model/")})
    assert same(*starts)


SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from dropsmith.train import Saving, train
from train.setups import digits

def progress(share):
    if share >= float(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

train(digits(), Path(sys.argv[1]), progress=progress, saving=Saving(steps=2))
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_where_it_would_have_ended(tmp_path):
    whole = train(digits(), tmp_path / "whole", saving=NEVER)
    # Killed after step 3 of 5, within the second epoch; step 2 is the last on disk.
    places = [str(Path(__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "killed"), "0.6"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [FILE]
    resumed = train(digits(), tmp_path / "killed", saving=NEVER)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert timeless(whole) == timeless(resumed)


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_a_run_stopped_after_any_step_resumes_to_the_same_weights(tmp_path, share):
    setup = digits(objective=ExpectationLinear(kappa=1.0))
    whole = train(setup, tmp_path / "whole")
    with pytest.raises(Stop):
        train(setup, tmp_path / "cut", progress=stop_at(share), saving=Saving(steps=1))
    seen = []
    resumed = train(setup, tmp_path / "cut", progress=lambda done, /: seen.append(done))
    assert len(seen) == round((1 - share) * 5)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert timeless(whole) == timeless(resumed)


def test_a_half_written_checkpoint_beside_a_whole_one_does_no_harm(tmp_path):
    with pytest.raises(Stop):
        train(digits(), tmp_path, progress=stop_at(0.4), saving=Saving(steps=1))
    (tmp_path / FILE).with_suffix(".partial").write_bytes(b"half")
    assert train(digits(), tmp_path).status == "finished"


def test_a_checkpoint_of_another_run_is_refused_and_can_be_set_aside(tmp_path):
    with pytest.raises(Stop):
        train(digits(), tmp_path, progress=stop_at(0.4), saving=Saving(steps=1))
    with pytest.raises(CheckpointError, match="of another run: its config differ"):
        train(digits(seed=1), tmp_path)
    assert train(digits(seed=1), tmp_path, resume=False).config["seed"] == 1


def test_a_checkpoint_that_does_not_load_is_refused(tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="not a checkpoint of dropsmith"):
        train(digits(), tmp_path)


def test_a_finished_run_is_not_made_again_unless_asked_for(tmp_path):
    first = train(digits(), tmp_path)
    told = []
    assert train(digits(), tmp_path, progress=lambda share, /: told.append(share)) == first
    assert told == []
    train(digits(), tmp_path, resume=False, progress=lambda share, /: told.append(share))
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_finished_run_on_other_data_is_refused(tmp_path):
    train(digits(), tmp_path)
    path = tmp_path / RECORD
    values = json.loads(path.read_text())
    values["environment"]["data_sha256"] = "0"
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="made on other data"):
        train(digits(), tmp_path)


def test_patience_ends_a_run_that_gets_no_better(tmp_path):
    budget = Budget(epochs=30, batch_size=20, learning_rate=0.0, patience=2)
    record = train(digits(views=1, noise=False, budget=budget), tmp_path)
    assert len(record.curve) == 3
    assert record.cost["example_views"] == 300


def test_a_run_that_explodes_says_at_which_step(tmp_path):
    budget = replace(SHORT, learning_rate=1e30, epochs=4)
    with pytest.raises(TrainingError, match=r"not finite at step \d+"):
        train(digits(views=1, budget=budget), tmp_path)
    assert list(tmp_path.glob("step_*.safetensors"))


def test_a_plan_that_does_not_fit_the_model_says_so(tmp_path):
    with pytest.raises(SiteError, match="matched no site"):
        train(digits(plan=find_task("sst2").plan("words", 0.1)), tmp_path)


def test_a_finished_run_of_another_model_is_refused(tmp_path, monkeypatch):
    hashes = iter(["before", "before", "now"])
    monkeypatch.setattr(loop, "model_hash", lambda model, data: next(hashes))
    assert train(digits(), tmp_path).environment["model_sha256"] == "before"
    assert train(digits(), tmp_path).environment["model_sha256"] == "before"
    with pytest.raises(CheckpointError, match="made with another model"):
        train(digits(), tmp_path)


def test_a_model_of_the_users_own_is_trained_on_the_tasks_data(tmp_path, monkeypatch):
    (tmp_path / "loop_test_model.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))\n"
    )
    monkeypatch.chdir(tmp_path)
    setup = digits(noise=False, model="loop_test_model:make")
    whole = train(setup, tmp_path / "whole")
    assert weights(tmp_path / "whole").keys() == {"2.weight", "2.bias"}
    # Its dropout is torch's own: the state of torch's generator has to come back.
    with pytest.raises(Stop):
        train(setup, tmp_path / "cut", progress=stop_at(0.4), saving=Saving(steps=1))
    resumed = train(setup, tmp_path / "cut")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert timeless(whole) == timeless(resumed)
    with pytest.raises(TaskError, match="cannot import"):
        train(replace(setup, model="gone:make"), tmp_path / "other")


def test_mixed_precision_trains_other_weights_of_the_same_kind_in_the_same_process(tmp_path):
    train(digits(), tmp_path / "full")
    train(digits(precision="bf16"), tmp_path / "half")
    full, half = weights(tmp_path / "full"), weights(tmp_path / "half")
    assert not same(half, full)
    for name, weight in half.items():
        assert weight.dtype == full[name].dtype
        torch.testing.assert_close(weight, full[name], atol=5 * SHORT.learning_rate, rtol=0)


@pytest.mark.slow
def test_a_language_model_is_trained_and_judged_by_its_perplexity(tmp_path):
    setup = digits(
        task="python-docs",
        plan=find_task("python-docs").plan("locked", 0.2),
        limit=20,
        budget=replace(SHORT, batch_size=10, epochs=1),
    )
    scores = train(setup, tmp_path).scores
    assert torch.tensor(scores["test_nll"]).exp() == pytest.approx(scores["test_perplexity"])


@pytest.mark.slow
def test_sentences_are_trained_with_padding(tmp_path, data_dir):
    setup = digits(
        task="sst2",
        data=str(data_dir / "nlu" / "sst2"),
        plan=find_task("sst2").plan("dropout", 0.2),
        limit=40,
    )
    assert train(setup, tmp_path).cost["example_views"] == 80


@pytest.mark.slow
def test_the_curve_holds_every_term_of_the_objective(tmp_path, data_dir):
    task = find_task("sst2")
    setup = digits(
        task="sst2",
        data=str(data_dir / "nlu" / "sst2"),
        plan=task.plan("dropout", 0.2),
        objective=LRDrop(),
        limit=40,
        budget=replace(SHORT, batch_size=10, epochs=2),
    )
    for row in train(setup, tmp_path).curve:
        assert all(row[f"train_{term}"] > 0 for term in ("consistency", "hidden", "attention"))


def test_a_run_that_is_not_to_be_tested_never_looks_at_the_test_examples(tmp_path, monkeypatch):
    asked = []

    def watched(model, task, part, *args, **named):
        asked.append(part)
        return evaluate(model, task, part, *args, **named)

    monkeypatch.setattr(run, "evaluate", watched)
    record = train(digits(score_test=False), tmp_path)
    test = find_task("digits").load(None, 100).test
    assert len(asked) == 3
    assert all(part is not test for part in asked)
    assert not [name for name in record.scores if name.startswith("test")]
    whole = train(digits(), tmp_path / "whole")
    assert any(part is test for part in asked)
    assert record.scores["validation_nll"] == whole.scores["validation_nll"]


def test_a_run_on_the_whole_of_training_looks_at_no_validation_and_keeps_its_last_weights(
    tmp_path, monkeypatch
):
    asked = []

    def watched(model, task, part, *args, **named):
        asked.append({name: value.clone() for name, value in model.state_dict().items()})
        return evaluate(model, task, part, *args, **named)

    monkeypatch.setattr(run, "evaluate", watched)
    setup = digits(whole=True)
    _, data = task_and_data(setup)
    assert len(data.train) == 100 + len(data.validation)
    record = train(setup, tmp_path / "whole")
    # Once, at the end, on test: with the weights that are kept.
    assert len(asked) == 1
    assert same(asked[0], weights(tmp_path / "whole"))
    assert not [name for row in (record.scores, *record.curve) for name in row if "valid" in name]
    assert record.cost["example_views"] >= 2 * len(data.train)

    with pytest.raises(Stop):
        train(setup, tmp_path / "cut", progress=stop_at(0.7), saving=Saving(steps=1))
    train(setup, tmp_path / "cut")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_every_evaluation_is_told_and_may_end_the_run(tmp_path):
    told = []
    record = train(digits(), tmp_path / "whole", on_evaluation=told.append)
    assert tuple(told) == record.curve

    def stop(numbers, /):
        raise Stop

    with pytest.raises(Stop):
        train(digits(), tmp_path / "cut", on_evaluation=stop, saving=Saving(steps=1))
    again = []
    train(digits(), tmp_path / "cut", on_evaluation=again.append)
    # The checkpoint is of the step before the evaluation, which is therefore made again.
    assert [row["step"] for row in again] == [row["step"] for row in told]
