"""A plan's score is what its children have on validation, whatever else happens to them."""

import pickle
from dataclasses import replace

import pytest
import torch

from dropsmith.compare import TUNING_SEED
from dropsmith.errors import TrainingError
from dropsmith.learn import Child, child
from dropsmith.pattern_search import TrialPruned
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.record import Record
from dropsmith.train import train
from learn.small import SETUP

PLAN = Plan(rule("hidden.input", Bernoulli(rate=0.3)))


class Listening:
    """A trial whose reports are kept, and which may be told to stop."""

    def __init__(self, most=99):
        self.heard, self.most = [], most

    def report(self, step, value):
        self.heard.append((step, value))
        if len(self.heard) > self.most:
            raise TrialPruned("enough")


def by_hand(folder, seed):
    """What training says, told by its curve."""
    record = train(replace(SETUP, plan=PLAN, seed=seed), folder)
    return [row["validation_nll"] for row in record.curve]


def test_the_score_is_the_mean_over_seeds_of_the_least_validation_loss(tmp_path):
    curves = [by_hand(tmp_path / str(n), TUNING_SEED + n) for n in range(2)]
    trial = Listening()
    score = Child(setup=SETUP, folder=tmp_path / "children", seeds=2)(PLAN, trial)
    assert score == pytest.approx(sum(min(curve) for curve in curves) / 2)
    first, second = curves
    least = min(first)
    assert trial.heard == [
        (1, pytest.approx(first[0])),
        (2, pytest.approx(min(first))),
        (3, pytest.approx((least + second[0]) / 2)),
        (4, pytest.approx((least + min(second)) / 2)),
    ]


def test_the_test_examples_are_left_alone_and_only_a_record_stays(tmp_path):
    Child(setup=SETUP, folder=tmp_path)(PLAN, Listening())
    (path,) = tmp_path.glob("*.json")
    record = Record.load(path)
    assert not [name for name in record.scores if name.startswith("test")]
    assert record.config["tested"] is False
    assert [one.name for one in tmp_path.iterdir() if one.is_dir()] == []


def test_a_plan_that_was_scored_keeps_its_score_and_costs_nothing(tmp_path, monkeypatch):
    scorer = Child(setup=SETUP, folder=tmp_path)
    score = scorer(PLAN, Listening())
    monkeypatch.setattr(child, "train", None)
    assert scorer(PLAN, Listening()) == score


def test_a_child_that_is_stopped_leaves_nothing_behind(tmp_path):
    with pytest.raises(TrialPruned):
        Child(setup=SETUP, folder=tmp_path)(PLAN, Listening(most=0))
    assert [one.name for one in tmp_path.iterdir() if one.suffix != ".lock"] == []


def test_a_child_that_was_killed_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    whole = Child(setup=SETUP, folder=tmp_path / "whole")(PLAN, Listening())

    class Killed(BaseException):
        pass

    def killing(setup, run, on_evaluation):
        from dropsmith.train import Saving

        def die(numbers, /):
            raise Killed

        return train(setup, run, saving=Saving(steps=1), on_evaluation=die)

    scorer = Child(setup=SETUP, folder=tmp_path / "killed")
    monkeypatch.setattr(child, "train", killing)
    with pytest.raises(Killed):
        scorer(PLAN, Listening())
    monkeypatch.setattr(child, "train", train)
    assert scorer(PLAN, Listening()) == whole


def test_a_child_that_diverges_says_so(tmp_path):
    wild = replace(SETUP, budget=replace(SETUP.budget, learning_rate=1e30, clip=None))
    with pytest.raises(TrainingError, match="not finite"):
        Child(setup=wild, folder=tmp_path)(PLAN, Listening())


def test_it_may_be_sent_to_another_process(tmp_path):
    scorer = Child(setup=SETUP, folder=tmp_path, seeds=3)
    assert pickle.loads(pickle.dumps(scorer)) == scorer


def test_plans_are_scored_on_the_same_first_weights(tmp_path, monkeypatch):
    seeds = []

    def noting(setup, run, on_evaluation):
        seeds.append((setup.plan == PLAN, setup.seed, torch.initial_seed()))
        run.mkdir(parents=True)
        return Record(config=setup.to_json(), scores={"validation_nll": 1.0})

    monkeypatch.setattr(child, "train", noting)
    scorer = Child(setup=SETUP, folder=tmp_path, seeds=2)
    scorer(PLAN, Listening())
    scorer(Plan(), Listening())
    mine, theirs = ([s for own, s, _ in seeds if own is which] for which in (True, False))
    assert mine == theirs == [TUNING_SEED, TUNING_SEED + 1]


def test_what_is_reported_never_rises_again_and_counts_the_children_before(tmp_path, monkeypatch):
    def overfitting(setup, run, on_evaluation):
        run.mkdir(parents=True)
        for epoch, loss in enumerate((0.9, 0.5, 0.7), start=1):
            on_evaluation({"epoch": epoch + 0.01, "validation_nll": loss + (setup.seed % 2)})
        return Record(config=setup.to_json(), scores={"validation_nll": 0.5 + (setup.seed % 2)})

    monkeypatch.setattr(child, "train", overfitting)
    trial = Listening()
    longer = replace(SETUP, budget=replace(SETUP.budget, epochs=3))
    assert Child(setup=longer, folder=tmp_path, seeds=2)(PLAN, trial) == 1.0
    assert trial.heard == [
        *((1, 0.9), (2, 0.5), (3, 0.5)),
        *((4, pytest.approx(1.2)), (5, 1.0), (6, 1.0)),
    ]
