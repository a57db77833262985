"""What a budget's optimiser and schedule do to a run."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import dropsmith.train.run
from dropsmith.models import SmallLSTM
from dropsmith.objectives import TaskLoss
from dropsmith.plans.plan import Plan
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Budget, find_task
from dropsmith.tasks.learning_rates import Constant, Plateau, UntilWorse
from dropsmith.tasks.optimisers import ASGD, SGD, Adam, AdamW, TriggeredASGD
from dropsmith.train import Saving, Setup, train
from dropsmith.train.averaging import AveragedSGD
from dropsmith.train.optimisers import optimizer_of
from dropsmith.train.state import State
from dropsmith.train.step import Stepper
from train.setups import digits
from train.test_loop import Stop, same, stop_at, timeless, weights
from train.test_step import Plain

SHORT = Budget(
    epochs=6, batch_size=20, learning_rate=0.3, clip=None, optimiser=SGD(), schedule=Constant()
)


@pytest.mark.parametrize(
    ("optimiser", "kind"),
    [
        (AdamW(), torch.optim.AdamW),
        (Adam(), torch.optim.Adam),
        (SGD(shrink=0.25), AveragedSGD),
        (TriggeredASGD(shrink=0.25), AveragedSGD),
        (ASGD(shrink=0.25), AveragedSGD),
    ],
)
def test_an_optimiser_is_made_with_the_budgets_numbers(optimiser, kind):
    budget = Budget(
        epochs=1, batch_size=1, learning_rate=0.5, weight_decay=0.125, optimiser=optimiser
    )
    made = optimizer_of(torch.nn.Linear(2, 2), budget)
    assert type(made) is kind
    (group,) = made.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.125)
    assert group.get("shrink", 0.25) == 0.25


class Watched:
    """A run whose validation losses are as told, and the weights it went through."""

    def __init__(self, monkeypatch, losses):
        self.steps, self.shown = [], []
        take, losses = Stepper.take, iter([*losses, 9.0, 9.0])

        def watched(stepper, state, rate, folder):
            if not self.steps:
                self.steps.append(flatten(state.model))
            found = take(stepper, state, rate, folder)
            self.steps.append(flatten(state.model))
            return found

        def told(model, task, part, **options):
            self.shown.append(flatten(model))
            return {"nll": next(losses)}

        monkeypatch.setattr(Stepper, "take", watched)
        monkeypatch.setattr(dropsmith.train.run, "evaluate", told)


def flatten(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def run(folder, **change):
    """Six epochs of five steps."""
    return train(digits(views=1, noise=False, budget=replace(SHORT, **change)), folder)


def test_from_the_trigger_on_the_mean_is_evaluated_and_kept_and_steps_go_on_as_ever(
    tmp_path, monkeypatch
):
    losses = [5.0, 4.0, 3.0, 4.5, 2.0, 2.5]
    with monkeypatch.context() as patch:
        plain = Watched(patch, losses)
        run(tmp_path / "plain")
    with monkeypatch.context() as patch:
        averaged = Watched(patch, losses)
        run(tmp_path / "averaged", optimiser=TriggeredASGD(nonmono=1))
    assert all(torch.equal(a, b) for a, b in zip(plain.steps, averaged.steps, strict=True))
    # The fourth evaluation, after step 20, is above the best of those but the last before it.
    for evaluation in range(4):
        assert torch.equal(averaged.shown[evaluation], plain.shown[evaluation])
    for evaluation in (4, 5):
        end = 5 * (evaluation + 1)
        mean = torch.stack(averaged.steps[20 : end + 1]).double().mean(0)
        torch.testing.assert_close(averaged.shown[evaluation].double(), mean, rtol=0, atol=1e-6)
        assert not torch.allclose(averaged.shown[evaluation], plain.shown[evaluation])
    best = torch.cat([w.flatten() for w in ordered(tmp_path / "averaged")])
    assert torch.equal(best, averaged.shown[4])


def test_an_average_from_the_start_is_of_the_first_weights_and_all_that_follow(
    tmp_path, monkeypatch
):
    watched = Watched(monkeypatch, [5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    run(tmp_path, optimiser=ASGD())
    for evaluation in range(6):
        mean = torch.stack(watched.steps[: 5 * (evaluation + 1) + 1]).double().mean(0)
        torch.testing.assert_close(watched.shown[evaluation].double(), mean, rtol=0, atol=1e-6)
    assert not torch.allclose(watched.shown[0], watched.steps[5])


def test_a_run_ends_where_validation_has_got_worse(tmp_path, monkeypatch):
    Watched(monkeypatch, [3.0, 2.0, 2.5, 2.6, 0.1, 0.1])
    record = run(tmp_path, schedule=UntilWorse(nonmono=1))
    assert [row["validation_nll"] for row in record.curve] == [3.0, 2.0, 2.5, 2.6]


def ordered(folder):
    """The weights of a run in the order of the model's parameters."""
    task = find_task("digits")
    model = task.model(task.load(limit=100))
    model.load_state_dict(load_file(folder / WEIGHTS))
    return [parameter.detach() for parameter in model.parameters()]


RESTLESS = {"learning_rate": 2.0, "optimiser": TriggeredASGD(nonmono=1)}


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.7, 0.9])
def test_a_run_resumes_to_the_bit_before_and_after_its_trigger(tmp_path, share):
    setup = digits(views=1, noise=False, budget=replace(SHORT, **RESTLESS))
    whole = train(setup, tmp_path / "whole")
    losses = [row["validation_nll"] for row in whole.curve]
    pulled = TriggeredASGD(nonmono=1).trigger(losses)
    assert pulled in (2, 3), "no averaging in the middle of this run: no test"
    with pytest.raises(Stop):
        train(setup, tmp_path / "cut", progress=stop_at(share), saving=Saving(steps=1))
    resumed = train(setup, tmp_path / "cut")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    assert timeless(whole) == timeless(resumed)


def test_a_plateau_lowers_the_rate_and_goes_on_from_the_best_weights(tmp_path, monkeypatch):
    rates, take = [], Stepper.take
    watched = Watched(monkeypatch, [3.0, 2.0, 2.5, 2.5, 1.0, 0.5])
    watching = Stepper.take

    def noting(stepper, state, rate, folder):
        rates.append(rate)
        if len(rates) == 21:
            # Two evaluations without a gain ended with step 20: step 21 starts from the best.
            assert torch.equal(flatten(state.model), watched.shown[1])
        return watching(stepper, state, rate, folder)

    monkeypatch.setattr(Stepper, "take", noting)
    run(tmp_path, schedule=Plateau(factor=3, patience=2))
    assert rates == pytest.approx([0.3] * 20 + [0.1] * 10)
    assert take is not Stepper.take


def test_a_plateau_ends_the_run_where_its_rate_would_be_too_low(tmp_path, monkeypatch):
    Watched(monkeypatch, [3.0, 3.0, 3.0, 3.0])
    record = run(tmp_path, schedule=Plateau(factor=3, patience=1, least=0.2))
    assert record.cost["steps"] == 15


@pytest.mark.parametrize("clip", [0.05, 1e6])
def test_a_loss_summed_over_time_is_a_rate_and_a_clip_scaled_by_the_window(tmp_path, clip):
    # Gal's code sums the loss over its 35 steps, with rate 1 and gradients cut at 10: for SGD
    # that is our mean over steps with rate 35 and gradients cut at 10 / 35.
    task, rate, shrink = find_task("python-docs"), 0.5, 1e-3
    data = task.load(limit=20)
    budget = Budget(
        epochs=1,
        batch_size=4,
        learning_rate=35 * rate,
        clip=clip / 35,
        optimiser=SGD(shrink=shrink),
        schedule=Constant(),
    )
    setup = Setup(
        task="python-docs", method="", plan=Plan(), objective=TaskLoss(), budget=budget, seed=0
    )
    torch.manual_seed(0)
    ours = SmallLSTM(words=data.classes, width=8, tied=False)
    theirs = SmallLSTM(words=data.classes, width=8, tied=False)
    theirs.load_state_dict(ours.state_dict())
    state = State(ours, optimizer_of(ours, budget))
    for step in (1, 2, 3):
        batch = data.train.batch(step, seed=0, batch_size=4).columns
        Stepper(setup, task, data.train, Plain()).take(state, budget.learning_rate, tmp_path)
        theirs.zero_grad()
        scores = theirs(batch["tokens"]).logits
        per_step = [F.cross_entropy(scores[:, t], batch["labels"][:, t]) for t in range(35)]
        torch.stack(per_step).sum().backward()
        norm = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
        for weight in theirs.parameters():
            step_to = weight.detach() - rate * weight.grad * min(1.0, clip / float(norm))
            weight.data = step_to * (1 - shrink)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)
