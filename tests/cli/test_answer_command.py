"""The commands that an answer types mean the runs that the answer speaks of."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from compare import synthetic
from compare.synthetic import TASK, design
from dropsmith.cli import main
from dropsmith.compare import Comparison, answer, setup_id
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.report import Place, answer_text
from dropsmith.tasks import TASKS, Bounds, DataOptions, find_task, plain_name


@pytest.fixture
def meant(monkeypatch, capsys):
    """Gives the setup or design that a command line means, without a run."""
    seen = []

    def stop(value, *_):
        seen.append(value)
        raise SystemExit(0)

    monkeypatch.setattr("dropsmith.cli.train.record_of", stop)
    monkeypatch.setattr("dropsmith.cli.compare._run", stop)

    def call(command):
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command)[1:])
        assert ended.value.code in (0, None), capsys.readouterr().err
        return seen.pop()

    return call


DESIGNS = {
    "usual": {},
    "budget": {
        "budget": replace(TASK.budget, epochs=7, batch_size=16, learning_rate=0.0031),
        "limit": 100,
    },
    "rates": {"rates": (0.05, 0.123456789012345), "trials": 2},
    "precision": {"precision": "bf16"},
    "samples": {"samples": 4, "samples_without": ("output",)},
}


def made(settings, method, losses=(0.1, 0.12, 0.11)):
    """A comparison of these terms in which a method is better than the others."""
    terms = design(tuple(dict.fromkeys(("none", "dropout", method))), **settings)
    others = [0.5, 0.53, 0.51]
    trials = tuple(0.1 * n for n in range(1, terms.trials + 1))
    rows = tuple(
        synthetic.row(
            terms, name, losses if name == method else others[: len(losses)], trials=trials
        )
        for name in terms.methods
    )
    return terms, Comparison(task="digits", rows=tuple(map(sampled, rows)))


def sampled(row):
    """The row with scores of samples, where its runs were asked for them."""

    def one(run):
        averages = {
            name.replace("test_", "test_mc_"): 0.1 for name in run.scores if "test_" in name
        }
        return replace(run, scores=run.scores | averages) if "samples" in run.config else run

    return replace(row, records=tuple(map(one, row.records)))


@pytest.mark.parametrize("method", ["none", "dropout", "r-drop", "linear", "r-drop+every-2"])
@pytest.mark.parametrize("settings", DESIGNS.values(), ids=DESIGNS)
def test_the_command_of_the_answer_means_the_run_that_it_names(meant, settings, method, tmp_path):
    terms, comparison = made(settings, method)
    place = Place(folder=tmp_path)
    result = answer(comparison)
    setup = meant(answer_text(comparison, place).command)
    ids = [setup_id(each) for each in terms.reported_setups(result.method, result.setting)]
    if method != "dropout":  # which is the baseline, and so kept only where nothing is simpler
        assert result.method == method
    assert setup_id(setup) == result.record
    assert result.record in ids


@pytest.mark.parametrize("settings", DESIGNS.values(), ids=DESIGNS)
def test_the_command_for_more_seeds_means_the_same_runs_and_more(meant, settings, tmp_path):
    _terms, comparison = made(settings | {"seeds": 1}, "r-drop", [0.1])
    found = meant(answer_text(comparison, Place(folder=tmp_path)).command)
    assert found.seeds == 5
    for row in comparison.rows:
        ids = [setup_id(each) for each in found.reported_setups(row.method, row.setting)]
        assert row.records[0].id == ids[0]
        trials = [setup_id(each) for each in found.trial_setups(row.method)]
        assert [run.id for trial in row.trials for run in trial.records] == trials


def test_a_plan_of_ones_own_is_read_from_its_record(meant, tmp_path):
    plan = Plan(rule("convs.0", Bernoulli(rate=1 / 3)))
    terms = design(("dropout", "own"), plans=(("own", plan),))
    (setting,) = terms.settings("own")
    runs = tuple(
        synthetic.record(terms.setup("own", setting, seed), loss, 0.97 - loss / 4)
        for seed, loss in enumerate((0.1, 0.13, 0.11))
    )
    row = replace(synthetic.row(terms, "dropout", [0.5, 0.52, 0.51]), trials=())
    own = replace(row, method="own", setting=setting, records=runs)
    for record in runs:
        record.save(tmp_path)
    comparison = Comparison(task="digits", rows=(row, own))
    setup = meant(answer_text(comparison, Place(folder=tmp_path)).command)
    best = min(runs, key=lambda run: run.scores["validation_nll"])
    assert setup.plan == plan
    assert setup.seed == best.config["seed"]
    assert setup.budget == terms.setup("own", setting, 0).budget


@pytest.mark.parametrize("name", ["digits", "sst2", "numbers", "photos"])
def test_a_folder_is_typed_as_a_path_also_where_a_task_has_its_name(
    name, meant, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for index in range(40):
        folder = Path(name, ("cat", "dog")[index % 2])
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), index).save(folder / f"{index}.png")
    terms = design(("dropout", "r-drop"), task=find_task(f"./{name}"))
    losses = {"r-drop": (0.1, 0.12, 0.11)}
    rows = [synthetic.row(terms, m, losses.get(m, (0.5, 0.53, 0.51))) for m in terms.methods]
    comparison = Comparison(task=plain_name(terms.task.name), rows=tuple(rows))
    for record in comparison.records:
        record.environment["data_given"] = True
    result = answer_text(comparison, Place(data=Path(name)))
    setup = meant(result.command)
    assert setup.task == (name if name == "photos" else f"./{name}")
    assert setup_id(setup) == answer(comparison).record
    assert setup.to_json()["task"] not in TASKS


def test_data_and_the_options_of_reading_it_are_typed():
    _, comparison = made({}, "r-drop")
    for record in comparison.records:
        record.environment["data_given"] = True
    options = DataOptions(label_column="the label", bounds=Bounds(rows=7))
    place = Place(data="some folder", data_options=options)
    command = answer_text(comparison, place).command
    assert "--data 'some folder'" in command
    assert "--label-column 'the label' --bound rows=7" in command
