"""A search over real children, one by one in this process."""

from dataclasses import replace

import pytest
from optuna import load_study

from dropsmith.errors import SearchError, SiteError
from dropsmith.learn import CHILDREN, FIXED_PLAN, PLAN, Searches, learn
from dropsmith.learn.learning import _name
from dropsmith.pattern_search import SAMPLERS, SerialExecutor, search
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record
from learn.small import DIGITS, SETUP, SPACE, problem

pytestmark = pytest.mark.slow


def run(folder, trials=3, **change):
    return learn(SETUP, folder, trials=trials, executor="serial", **change)


@pytest.mark.slow
def test_it_leaves_the_best_plan_the_trials_and_the_children(tmp_path):
    found = run(tmp_path, sampler="random")
    (search,) = found.runs
    assert len(search.finished) == 3
    scores = [trial.score for trial in search.trials]
    assert found.best.score == min(scores)
    assert Plan.load(tmp_path / PLAN) == found.best.plan
    assert Searches.load(tmp_path) == found
    children = [Record.load(path) for path in (tmp_path / CHILDREN).glob("*.json")]
    by_plan = {str(one.config["plan"]): one.scores["validation_nll"] for one in children}
    assert [by_plan[str(trial.plan.for_records())] for trial in search.trials] == scores


@pytest.mark.slow
def test_another_sampler_joins_and_the_plan_is_the_best_of_both(tmp_path):
    first = run(tmp_path, sampler="random")
    both = run(tmp_path, trials=2, sampler="controller")
    assert [one.sampler for one in both.runs] == ["controller", "random"]
    assert both.best.score <= first.best.score
    assert Plan.load(tmp_path / PLAN) == both.best.plan


@pytest.mark.slow
def test_more_trials_go_on_where_the_last_ended(tmp_path, monkeypatch):
    from dropsmith.learn import child

    whole = run(tmp_path / "whole", sampler="controller")
    run(tmp_path / "parts", trials=1, sampler="controller")
    trained = []
    train = child.train
    monkeypatch.setattr(child, "train", lambda *a, **k: trained.append(a) or train(*a, **k))
    parts = run(tmp_path / "parts", sampler="controller")
    assert len(trained) == 2
    tokens = [[t.tokens for t in one.runs[0].trials] for one in (whole, parts)]
    assert tokens[0] == tokens[1]
    assert [t.score for t in whole.runs[0].trials] == [t.score for t in parts.runs[0].trials]


@pytest.fixture
def trained(monkeypatch):
    """The plans that were trained, each of which costs a file and no time."""
    from dropsmith.learn import child

    plans = []

    def train(setup, run, on_evaluation):
        plans.append(setup.plan)
        run.mkdir(parents=True)
        loss = float(len(repr(setup.plan)))
        on_evaluation({"epoch": 1.0, "validation_nll": loss})
        hashed = DIGITS.load(None, 60).sha256
        return Record(
            config=setup.to_json(),
            environment={"data_sha256": hashed},
            scores={"validation_nll": loss},
        )

    monkeypatch.setattr(child, "train", train)
    return plans


def few_plans(monkeypatch):
    monkeypatch.setattr("dropsmith.learn.learning.problem_of", lambda *args: problem())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "given"),
    [*((name, "by name") for name in SAMPLERS), ("random", "an executor of another score")],
)
def test_a_plan_that_was_scored_before_costs_nothing_again_over_a_resumed_study_too(
    tmp_path, monkeypatch, trained, sampler, given
):
    few_plans(monkeypatch)
    for trials in (6, SPACE.size + 4):
        executor = "serial" if given == "by name" else SerialExecutor(lambda plan: 0.0)
        found = learn(SETUP, tmp_path, trials=trials, sampler=sampler, executor=executor)
    (run,) = found.runs
    assert len(run.finished) == SPACE.size + 4
    assert len(trained) == len(set(trained)) < len(run.trials)
    assert {trial.score for trial in run.trials} <= {float(len(repr(plan))) for plan in trained}


def test_an_executor_beside_workers_is_refused_and_closed(tmp_path, trained):
    executor = SerialExecutor(lambda plan: 0.0)
    with pytest.raises(SearchError, match="has its own workers"):
        learn(SETUP, tmp_path, trials=1, executor=executor, workers=2)
    assert executor._stopping


def test_what_a_killed_process_left_half_written_goes(tmp_path, monkeypatch, trained):
    few_plans(monkeypatch)
    left = [tmp_path / p for p in (".", CHILDREN, f"{CHILDREN}/0123456789ab")]
    for folder in left:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".{'0' * 16}.999999999.partial").touch()
    learn(SETUP, tmp_path, trials=1, executor="serial")
    assert list(tmp_path.rglob("*.partial")) == []


def test_a_folder_with_punctuation_in_its_name_can_be_searched(tmp_path):
    config = SETUP.to_json() | {"task": "/data/bees (2, small) & ants"}
    named = _name(problem(config=config), "random", 0)
    assert named.startswith("bees__2__small____ants-")
    search(
        lambda plan: 0.0, SPACE, trials=1, executor="serial", name=named, storage=tmp_path / "s.db"
    )


@pytest.mark.slow
def test_the_study_is_one_that_optunas_own_tools_open(tmp_path):
    from optuna.storages import RDBStorage

    found = run(tmp_path, trials=2, sampler="random")
    storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    (summary,) = storage.get_all_studies()
    study = load_study(study_name=summary.study_name, storage=storage)
    assert summary.study_name.startswith("digits-")
    assert study.best_value == found.best.score
    assert study.best_params == found.best.choices
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sampler": "contoller"}, "did you mean 'controller'"),
        ({"pruner": "medain"}, "did you mean 'median'"),
        ({"space": "cnov"}, "did you mean 'conv'"),
        ({"trials": 0}, "one trial or more"),
    ],
)
def test_what_does_not_exist_is_said(tmp_path, change, says):
    with pytest.raises(SearchError, match=says):
        run(tmp_path, **change)


@pytest.mark.parametrize(
    "change", [{"sampler": "contoller"}, {"pruner": "medain"}, {"executor": "lcoal"}]
)
def test_what_is_mistyped_leaves_the_folder_to_other_children(tmp_path, change):
    asked = {"trials": 1, "executor": "serial"} | change
    with pytest.raises(SearchError, match="did you mean"):
        learn(SETUP, tmp_path, **asked)
    assert list(tmp_path.iterdir()) == []


def test_rules_beside_the_searched_ones_are_in_every_child_and_in_the_plan(tmp_path):
    beside = Plan(rule("head.input", Bernoulli(rate=0.5)))
    setup = replace(SETUP, plan=beside)
    found = learn(setup, tmp_path, trials=2, sampler="random", executor="serial")
    children = [Record.load(path) for path in (tmp_path / CHILDREN).glob("*.json")]
    plans = {Plan.from_json(one.config["plan"]) for one in children}
    assert plans == {beside + trial.plan for trial in found.runs[0].trials}
    assert Plan.load(tmp_path / PLAN) == found.plan == beside + found.best.plan
    assert Plan.load(tmp_path / FIXED_PLAN) == Searches.load(tmp_path).problem.fixed_plan == beside


def test_rules_beside_that_match_nothing_are_found_before_anything_runs(tmp_path):
    setup = replace(SETUP, plan=Plan(rule("nowhere", Bernoulli(rate=0.5))))
    with pytest.raises(SiteError, match="nowhere"):
        learn(setup, tmp_path, trials=1, executor="serial")
    assert not (tmp_path / CHILDREN).exists()


def test_other_children_need_another_folder(tmp_path):
    run(tmp_path, trials=1, sampler="random")
    with pytest.raises(SearchError, match="differ from this one in seeds: 1, not 2"):
        run(tmp_path, trials=1, sampler="random", seeds=2)
