"""Commands with runs that cost nothing, except where the real thing is the point."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from compare.workers import pretend, spread_here
from dropsmith.cli import main
from dropsmith.compare import TUNING_SEED, runs, stored_records
from dropsmith.errors import TaskError
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record
from dropsmith.workers import Done


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Runs are made in this process by a pretence, and listed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    setups = []

    def spread(work, jobs, processes, libraries=()):
        for index, job in enumerate(jobs):
            setups.append(job.setup)
            yield Done(index, pretend(job, lambda *news: None))

    monkeypatch.setattr(runs, "spread", spread)
    return setups


@pytest.fixture
def run(capsys):
    def call(line):
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        caught = capsys.readouterr()
        return ended.value.code or 0, caught.out, caught.err

    return call


@pytest.mark.slow
def test_compare_prints_the_table_and_leaves_records_and_a_page(made, run):
    code, out, err = run("compare digits --with none,r-drop --seeds 2")
    assert code == 0
    assert all(name in out for name in ("none", "two-sample", "r-drop", "report.html"))
    assert len(made) == 3 * (3 + 2) == len(list(Path("runs/digits").glob("*.json"))) - 1
    assert "two-sample, a trial" in err
    assert Path("runs/digits/report.html").exists()


@pytest.mark.slow
def test_runs_that_are_on_disk_are_said_to_be_read_and_made_anew_where_that_is_asked(made, run):
    command = "compare digits --with none,dropout --seeds 2"
    assert "read from disk" not in run(command)[2]
    count = len(made)
    more = run("compare digits --with none,dropout --seeds 3")[2]
    assert f"{count} of {count + 2} runs were read from disk; to train all again: --again" in more
    assert len(made) == count + 2
    assert "read from disk" not in run(f"{command} --again")[2]
    assert len(made) == 2 * count + 2


MODEL = """
from torch import nn

def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.1), nn.Linear(16, 10))
"""


@pytest.fixture
def changed_model(monkeypatch, tmp_path):
    """A model of one's own, and a function that changes it as an editor would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(runs, "spread", spread_here)

    def change(old, new):
        (tmp_path / "changed_net.py").write_text(MODEL.replace(old, new))
        sys.modules.pop("changed_net", None)
        stored_records._model_sha256.cache_clear()

    change("", "")
    return change


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_changed_model_never_returns_old_numbers(command, changed_model, run):
    line = f"{command} digits --budget 1 --limit 60 --model changed_net:net"
    assert run(line)[0] == 0
    assert "the run was read from disk; to train it again: --again" in run(line)[2]
    changed_model("nn.Linear(64, 16)", "nn.Linear(64, 16), nn.Tanh()")
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert "with another version of changed_net:net" in err
    assert "make it anew: --again" in err
    code, out, err = run(f"{line} --again")
    assert code == 0
    assert "read from disk" not in err
    assert "read from disk" in run(line)[2]


@pytest.mark.slow
def test_json_is_all_there_is_on_standard_output(made, run):
    code, out, _ = run("compare digits --with none,dropout --seeds 3 --json")
    found = json.loads(out)
    assert code == 0
    assert [line["method"] for line in found["methods"]] == ["none", "dropout"]
    ids = found["methods"][1]["records"]
    losses = [Record.load(Path(f"runs/digits/{one}.json")).scores["test_nll"] for one in ids]
    assert found["methods"][1]["spread"]["test_nll"]["mean"] == pytest.approx(sum(losses) / 3)


def test_options_reach_the_runs(made, run):
    run("compare digits --with dropout --seeds 1 --trials 1 --budget 7 --limit 50 --out there")
    (setup,) = made
    assert (setup.budget.epochs, setup.limit, setup.seed) == (7, 50, 0)
    assert Path("there/comparison.json").exists()


@pytest.mark.slow
def test_rates_are_tried_in_place_of_ours_and_stand_in_the_command_of_the_page(made, run):
    run("compare digits --with none,dropout,r-drop --seeds 1 --rates 0.05,0.15")
    assert len(made) == 4 * (2 + 1)
    noisy = [one for one in made if one.plan.rules]
    assert {one.plan.rules[0].pattern.rate for one in noisy} == {0.05, 0.15}
    assert "--rates 0.05,0.15" in Path("runs/digits/report.html").read_text()


@pytest.mark.parametrize("command", ["compare", "train", "predict"])
def test_a_batch_size_and_a_learning_rate_reach_the_runs_of_every_command(made, run, command):
    more = "--seeds 1 --trials 1" if command == "compare" else ""
    run(f"{command} digits --with dropout --batch-size 20 --learning-rate 0.004 {more}")
    assert {(one.budget.batch_size, one.budget.learning_rate) for one in made} == {(20, 0.004)}


@pytest.mark.parametrize("command", ["compare", "train"])
def test_batches_by_length_reach_the_runs(made, run, command, tmp_path):
    rows = [f"the film is {'so ' * (i % 9)}{w},{w}" for i in range(40) for w in ("good", "bad")]
    table = tmp_path / "films.csv"
    table.write_text("text,label\n" + "\n".join(dict.fromkeys(rows)) + "\n")
    more = "--seeds 1 --trials 1" if command == "compare" else ""
    run(f"{command} {table} --with dropout --batches length {more}")
    assert {one.budget.batches for one in made} == {"length"}
    code, _, err = run(f"{command} {table} --with dropout --batches size {more}")
    assert (code, "batches is random or length, got 'size'" in err) == (2, True)


@pytest.mark.parametrize(("seconds", "is_slow"), [(2.5, True), (0.5, False)])
def test_a_processor_that_is_slow_in_bf16_says_so_in_a_line(
    made, run, monkeypatch, seconds, is_slow
):
    times = {torch.bfloat16: seconds, torch.float32: 1.0}
    monkeypatch.setattr("dropsmith.train.environment._product_seconds", times.__getitem__)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    for precision, lines in (("bf16", is_slow), ("no", False)):
        _, _, err = run(f"train digits --with dropout --precision {precision}")
        assert err.count("takes 2.5 times as long in bf16 as in float32") == lines


@pytest.mark.parametrize("rate", ["0", "-1", "nan"])
def test_a_learning_rate_that_cannot_be_is_one_sentence(made, run, rate):
    code, _, err = run(f"train digits --learning-rate {rate}")
    assert code == 2
    assert "--learning-rate is a number above 0" in err
    assert made == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("0.1,x", "rates are numbers with commas, such as 0.1,0.3, got '0.1,x'"),
        ("0.1,1.5", "1.5"),
        ("0.1,0.2 --trials 3", "3 trials need 3 different rates, got 0.1, 0.2"),
    ],
)
def test_rates_that_cannot_be_are_one_sentence_and_nothing_is_run(made, run, given, said):
    code, _, err = run(f"compare digits --with dropout --rates {given}")
    assert code == 2
    assert said in err
    assert made == []


@pytest.mark.parametrize("line", ["train digits", "compare digits --with dropout --seeds 1"])
def test_a_precision_reaches_every_run_and_is_written_down(made, run, line):
    run(f"{line} --precision bf16")
    assert {setup.precision for setup in made} == {"bf16"}
    assert {setup.to_json()["precision"] for setup in made} == {"bf16"}


@pytest.mark.slow
def test_a_plan_of_ones_own_is_a_row_of_the_comparison(made, run):
    plan = Plan(rule("hidden.input", Bernoulli(rate=0.45)))
    plan.save("mine.json")
    code, out, _ = run("compare digits --with none --seeds 1 --trials 1 --plan learned=mine.json")
    assert code == 0
    assert [setup.method for setup in made] == ["none", "learned"]
    assert made[1].plan == plan
    assert "learned" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--plan mine.json", "a plan is NAME=SOURCE"),
        ("--plan a=mine.json --plan a=mine.json", "two plans are called 'a'"),
        ("--plan a=missing.json", "cannot read a plan from missing.json"),
        ("--plan none=mine.json", "which is the name of a method"),
    ],
)
def test_a_plan_that_cannot_be_a_row_is_refused_in_a_sentence(made, run, options, words):
    Plan().save("mine.json")
    code, _, err = run(f"compare digits --with none --seeds 1 {options}")
    assert code == 2
    assert words in err
    assert made == []


def test_quick_takes_a_quarter_of_the_examples_and_as_many_epochs(made, run):
    from dropsmith.tasks import find_task

    task = find_task("digits")
    run("compare digits --with dropout --seeds 1 --trials 1 --budget quick")
    assert made[0].limit == len(task.load().train) // 4
    assert made[0].budget == task.budget


@pytest.mark.slow
def test_a_failed_run_is_named_and_ends_in_one(made, run, monkeypatch):
    def failing(work, jobs, processes, libraries=()):
        for index, job in enumerate(jobs):
            bad = job.setup.seed == 1
            status = Record(config=job.setup.to_json(), status="stopped: step 9")
            yield Done(index, status if bad else pretend(job, lambda *news: None))

    monkeypatch.setattr(runs, "spread", failing)
    code, out, _ = run("compare digits --with none,dropout --seeds 3")
    assert code == 1
    assert "dropout, seed 1: stopped: step 9" in " ".join(out.split())


def test_a_run_that_did_not_finish_is_not_said_to_have_weights(run, monkeypatch):
    def failing(work, jobs, processes, libraries=()):
        for index, job in enumerate(jobs):
            yield Done(index, Record(config=job.setup.to_json(), status="stopped: step 9"))

    monkeypatch.setattr(runs, "spread", failing)
    code, out, _ = run("train digits")
    assert (code, out) == (1, "the run did not finish: stopped: step 9\n")


def test_train_makes_the_very_run_of_a_comparison(made, run):
    run("compare digits --with dropout --seeds 1 --trials 1")
    code, out, _ = run("train digits --with dropout --seed 0 --json")
    assert code == 0
    assert len(made) == 1
    assert json.loads(out)["config"] == made[0].to_json()


@pytest.mark.slow
def test_runs_are_counted_in_whole_numbers_when_they_are_made(made, run):
    _, _, err = run("train digits")
    assert "1 of 1 run; dropout, seed 0: validation" in " ".join(err.split())
    _, _, err = run("compare digits --with none,dropout --seeds 1 --trials 1 --out there")
    said = " ".join(err.split())
    assert "1 of 2 runs; none, seed 0" in said
    assert "2 of 2 runs; dropout, seed 0" in said


def test_train_takes_numbers_and_a_plan_of_ones_own(made, run):
    Plan().save("plan.json")
    run("train digits --with r-drop --set alpha=2 --seed 4 --plan plan.json")
    (setup,) = made
    assert setup.objective.to_json()["alpha"] == 2
    assert (setup.plan, setup.seed, setup.method) == (Plan(), 4, "r-drop")


@pytest.mark.slow
def test_a_method_that_saves_is_trained_and_priced_under_its_name(made, run):
    run("compare digits --with dropout,r-drop,r-drop+every-2 --seeds 2 --trials 1")
    saving = [setup for setup in made if setup.method == "r-drop+every-2"]
    assert [setup.objective.to_json()["every"] for setup in saving] == [2, 2]
    code, out, _ = run("report runs/digits")
    assert code == 0
    assert "÷ full" in out
    code, out, _ = run("report runs/digits --json")
    priced = [line["method"] for line in json.loads(out)["prices"]]
    assert priced == ["dropout", "r-drop", "r-drop+every-2"]
    before = len(made)
    assert run("train digits --with r-drop+every-2 --set rate=0.3")[0] == 0
    assert len(made) == before


def test_what_a_method_cannot_save_is_said_in_a_sentence_and_nothing_is_written(made, run):
    code, _, err = run("compare digits --with none,r-drop+trunk")
    assert code == 2
    assert "'r-drop+trunk' does not fit the task 'digits'" in err
    assert not made


def test_no_trial_has_a_seed_that_train_would_take_by_default(made, run):
    run("train digits")
    assert made[0].seed != TUNING_SEED


@pytest.mark.slow
def test_report_writes_the_same_page_again_and_fills_a_document(made, run):
    run("compare digits --with none,dropout --seeds 2")
    page = Path("runs/digits/report.html")
    first = page.read_text()
    page.unlink()
    Path("card.md").write_text("<!-- digits --><!-- /digits -->")
    code, _, _ = run("report runs/digits --into card.md")
    assert code == 0
    assert page.read_text() == first
    assert "| dropout |" in Path("card.md").read_text()


def test_report_of_single_runs_is_their_table_and_page_and_draws_no_difference(made, run):
    run("train digits --with r-drop --seed 4")
    run("train digits --with dropout --seed 2")
    Path("card.md").write_text("<!-- digits --><!-- /digits -->")
    code, out, _ = run("report runs/digits --into card.md")
    assert code == 0
    assert out.index("dropout") < out.index("r-drop")
    assert "not compared" in " ".join(out.split())
    assert "r-drop, seed 4" in Path("runs/digits/report.html").read_text()
    assert "| r-drop | 4 |" in Path("card.md").read_text()
    found = json.loads(run("report runs/digits --json")[1])
    assert [one["config"]["seed"] for one in found] == [2, 4]


def test_sites_lists_names_that_a_rule_can_use(run):
    code, out, _ = run("sites digits --json")
    names = {site["name"] for site in json.loads(out)}
    assert code == 0
    assert {"convs.0", "hidden.input", "head.weight"} <= names
    assert "hidden.input" in run("sites digits")[1]


def test_audit_counts_what_falls_and_fails_where_nothing_does(run):
    code, out, _ = run("audit digits --with dropout --rate 0.4 --json")
    rows = json.loads(out)["rows"]
    assert code == 0
    for row in rows:
        spread = (0.4 * 0.6 / row["elements"]) ** 0.5
        assert abs(row["dropped"] - 0.4) < 5 * spread
    code, out, _ = run("audit digits --with dropout --eval")
    assert code == 1
    assert "eval mode" in out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real run of a few steps, made in this process."""
    from dropsmith.cli._single import setup_of

    folder = tmp_path_factory.mktemp("runs")
    options = {"settings": None, "plan": None, "data": None, "model": None}
    setup = setup_of(
        "digits", "dropout", seed=0, budget="8", limit=150, data_options=None, **options
    )
    record = runs.make_record(runs.Job(setup, folder), lambda *news: None)
    assert record.status == "finished", record.status
    record.save(folder)
    return folder


@pytest.mark.slow
def test_predict_averages_samples_of_the_trained_model(trained, run):
    line = f"predict digits --budget 8 --limit 150 --samples 8 --out {trained}"
    code, out, _ = run(f"{line} --json")
    found = json.loads(out)
    assert code == 0
    assert found["items"] == 897
    accuracy = found["one_pass_without_noise"]["accuracy"]
    spread = (accuracy * (1 - accuracy) / 897) ** 0.5
    assert abs(found["mean_of_samples"]["accuracy"] - accuracy) < 5 * spread
    assert found["entropy"]["right"] < found["entropy"]["wrong"]
    assert 0 < found["mutual_information"]["all"] < found["entropy"]["all"]
    assert "mean of 8 samples" in run(line)[1]
    line = line.replace("--samples 8", "--samples auto --tolerance 0.1")
    found = json.loads(run(f"{line} --json")[1])
    assert len(found["samples_by_batch"]) == 15
    assert found["samples"] == min(found["samples_by_batch"]) == 52


def test_predict_without_the_weights_says_which_file_is_missing(trained, run, tmp_path):
    for record in trained.glob("*.json"):
        Record.load(record).save(tmp_path)
    code, _, err = run(f"predict digits --budget 8 --limit 150 --out {tmp_path}")
    assert code == 2
    assert "model.safetensors" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no process groups to interrupt")
def test_an_interrupted_comparison_keeps_what_is_done_and_leaves_no_process(tmp_path):
    command = [sys.executable, "-m", "dropsmith", "compare", "digits", "--with", "none,dropout"]
    # Far more runs than end between the first record and the interrupt.
    options = ["--seeds", "60", "--trials", "1", "--limit", "50", "--processes", "1"]
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [*command, *options, "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell's background job, as a test run may be, has its children ignore interrupts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"PYTHONPATH": path},
        text=True,
    )
    while not list(tmp_path.glob("*.json")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    # A shell shows 130 for both: Python itself ends by the signal where it met the interrupt while
    # it ran generated code, as of a dataclass that is being imported, though it was caught.
    assert process.returncode in (130, -signal.SIGINT), err
    assert "the same command continues from here" in err
    assert "Traceback" not in err
    kept = [Record.load(found) for found in tmp_path.glob("*.json")]
    assert kept
    assert all(record.status == "finished" for record in kept)
    while _alive(process.pid):  # Python's own tracker of resources ends just after its parent
        time.sleep(0.05)


def _alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_samples_are_asked_for_of_methods_with_noise_only(made, run):
    code, _, _ = run("compare digits --with none,dropout --seeds 1 --samples 4")
    assert code == 0
    asked = {(one.method, one.seed >= TUNING_SEED): one.samples for one in made}
    assert asked == {
        ("none", True): 0, ("none", False): 0, ("dropout", True): 0, ("dropout", False): 4
    }  # fmt: skip
    code, _, err = run("train digits --with none --samples 4")
    assert code == 2
    assert "samples differ by the noise of a plan" in err


@pytest.mark.slow
def test_some_methods_alone_can_be_sampled(made, run):
    line = "compare digits --with dropout,gaussian --seeds 1 --samples 4 --samples-of"
    assert run(f"{line} gaussian")[0] == 0
    asked = {one.method: one.samples for one in made if one.seed < TUNING_SEED}
    assert asked == {"dropout": 0, "gaussian": 4}
    code, _, err = run(f"{line} guassian")
    assert code == 2
    assert "did you mean 'gaussian'" in err


def test_kinds_of_noise_can_be_left_out_of_the_samples(made, run):
    line = "compare digits --with none,dropout --seeds 1 --samples 4 --samples-without output,input"
    assert run(line)[0] == 0
    assert {one.samples_without for one in made if one.samples} == {("output", "input")}
    assert {one.samples_without for one in made if not one.samples} == {()}
    code, _, err = run("train digits --samples 4 --samples-without outptu")
    assert code == 2
    assert "did you mean 'output'" in err


@pytest.mark.parametrize("task", ["penn-treebank", "sentiment-scale"])
def test_predict_says_at_once_where_there_are_no_items_of_classes(made, run, data_dir, task):
    folder = data_dir / task.replace("-", "_")
    code, _, err = run(f"predict {task} --data {folder} --limit 50")
    assert code == 2
    assert f"dropsmith train {task} --samples 50" in err
    assert not made


@pytest.mark.parametrize(
    ("names", "words"),
    [("tensorbord", "did you mean 'tensorboard'"), ("wandb,", "no tracker is called ''")],
)
def test_a_tracker_that_there_is_not_is_one_sentence(run, names, words, monkeypatch):
    from accelerate.utils import LoggerType

    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: list(LoggerType))
    code, out, err = run(f"train digits --track {names}")
    assert (code != 0, out) == (True, "")
    assert words in err


def test_trackers_are_named_to_the_process_that_trains(run, monkeypatch):
    from accelerate.utils import LoggerType

    seen = []

    def stop(setups, folder, make=None, **settings):
        seen.append(make)
        raise TaskError("enough")

    monkeypatch.setattr("accelerate.tracking.get_available_trackers", lambda: list(LoggerType))
    monkeypatch.setattr("dropsmith.compare.run", stop)
    for line in ("train digits --track tensorboard,mlflow", "train digits"):
        run(line)
    assert seen[0].keywords == {"trackers": ("tensorboard", "mlflow")}
    assert seen[1] is None


@pytest.mark.slow
def test_both_budget_rules_are_compared_and_share_the_runs_that_are_the_same(
    run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    line = "compare digits --with dropout,r-drop --seeds 3 --trials 1 --budget 1 --limit 60"
    code, out, err = run(f"{line} --equal both --out both --json")
    assert code == 0, err
    found = json.loads(out)
    assert list(found) == ["views", "updates"]
    methods = {rule: [m["records"] for m in found[rule]["methods"]] for rule in found}
    same = [a == b for a, b in zip(methods["views"], methods["updates"], strict=True)]
    assert same == [True, False, False]
    assert "3 of 9 runs were read from disk" in err
    for name in found:
        assert Path(found[name]["page"]).is_file(), found[name]["page"]
    train = "train digits --with r-drop --budget 1 --limit 60 --equal updates"
    code, out, err = run(f"{train} --out both/updates")
    assert code == 0, err
    assert "the run was read from disk" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--equal updatse", "did you mean 'updates'"),
        ("--patience 3", "--patience 3 is for runs to convergence"),
        ("--equal both --patience 3", "add --equal converged, or leave --patience out"),
        ("--equal converged --patience 0", "--patience"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "train"])
def test_a_budget_rule_that_is_none_is_refused(run, command, words, message):
    code, _, err = run(f"{command} digits {words}")
    assert code != 0
    assert message in err or (command == "train" and "--equal is one of" in err)
