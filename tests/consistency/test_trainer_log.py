"""The terms of a consistent model are in the log of a stock trainer, and sum to its loss."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import dropsmith as ds
from consistency.tiny import net, symmetric, with_plan
from dropsmith.consistency import consistent, terms_of
from dropsmith.consistency.consistent import STATE
from dropsmith.objectives import RDrop, TwoSample

transformers = pytest.importorskip("transformers")
ALPHA, RATE = 4.0, 0.5
ROWS = 7
X = torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 0, 1, 0, 2, 1, 0])
RARE = [1.0, 4.0, 0.5]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = net()

    def forward(self, x, labels=None):
        return self.layers(x)


PLAN = ds.Plan(ds.rule("layers.1", ds.Bernoulli(rate=0.5, shared="batch")))


def model(objective=None, **settings):
    objective = objective or RDrop(alpha=ALPHA)
    return consistent(Net(), objective, loss="classification", plan=PLAN, **settings)


def trainer(model, folder, size=ROWS, accumulation=1, steps=1, callbacks=(), **settings):
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
        optim="sgd",
        learning_rate=RATE,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulation,
        max_steps=steps,
        **{"logging_steps": 1} | settings,
    )
    examples = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    return transformers.Trainer(model, arguments, train_dataset=examples, callbacks=list(callbacks))


class Reporter(transformers.TrainerCallback):
    """What a tracker such as TensorBoard's would be given."""

    def __init__(self):
        self.lines = []

    def on_log(self, args, state, control, logs=None, **arguments):
        self.lines.append(dict(logs))


def logged(made):
    return [row for row in made.state.log_history if "loss" in row]


@pytest.mark.parametrize(("size", "accumulation"), [(ROWS, 1), (2, 4)])
def test_a_stock_trainer_logs_the_terms_whose_sum_is_the_loss(tmp_path, size, accumulation):
    reporter = Reporter()
    made = trainer(
        model(), tmp_path, size, accumulation, steps=3, logging_steps=3, callbacks=[reporter]
    )
    made.train()
    (row,) = logged(made)
    assert row["terms/consistency"] > 0
    total = row["terms/task"] + ALPHA / 2 * row["terms/consistency"]
    assert row["loss"] == pytest.approx(total, rel=1e-5)
    assert reporter.lines[0] | {"step": 3} == row
    assert not any(name.startswith("terms/") for name in reporter.lines[-1])


def test_a_trainer_is_afterwards_as_it_was_and_trains_again(tmp_path):
    net_with_terms = model(class_weights=RARE)
    made = trainer(net_with_terms, tmp_path, steps=2)
    before = list(made.callback_handler.callbacks)
    for _ in range(2):
        made.train()
        assert len([row for row in logged(made) if "terms/task" in row]) == 2
        assert made.callback_handler.callbacks == before
        assert "get_batch_samples" not in made.__dict__
        made.state.log_history.clear()
    second = trainer(net_with_terms, tmp_path)
    second.train()
    assert "terms/task" in logged(second)[0]


def test_training_that_failed_leaves_the_model_to_the_next_trainer(tmp_path):
    class Fails(transformers.TrainerCallback):
        def on_step_end(self, *arguments, **named):
            raise KeyboardInterrupt

    shared = model()
    first = trainer(shared, tmp_path, callbacks=[Fails()])
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = trainer(shared, tmp_path)
    second.train()
    assert "terms/task" in logged(second)[0]
    assert all(type(each).__name__ != "LogTerms" for each in first.callback_handler.callbacks)
    for _ in range(8):
        shared(X, labels=Y)  # outside of any trainer
    assert shared.__dict__[STATE].log._sums == {}


def test_terms_by_hand_and_copies_are_none_of_the_trainers_business(tmp_path):
    class Copies(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **named):
            self.copy = deepcopy(model)

    copies = Copies()
    made = trainer(model(), tmp_path, callbacks=[copies])
    made.train()
    copies.copy(X, labels=Y).loss.backward()
    assert set(terms_of(copies.copy)) == {"task", "consistency"}


def two_steps_by_hand(weights):
    """Steps over the whole batch in plain torch, with torch's own weighted cross-entropy."""
    other = with_plan(Net(), PLAN)
    for _ in range(2):
        ds.step(other, 0)
        pair = list(ds.views(other, {"x": X}, mode="looped").outputs)
        task = F.cross_entropy(torch.cat(pair), Y.repeat(2), weight=weights)
        other.zero_grad()
        (task + ALPHA / 2 * symmetric(pair)).backward()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter -= RATE * parameter.grad
    return other


def held_step(model):
    """Every forward has the masks of step 1, so that only the division of a batch differs."""
    model.register_forward_pre_hook(lambda module, args: ds.step(module, 0), prepend=True)
    return model


@pytest.mark.parametrize("weights", [None, RARE], ids=["plain", "weighted"])
@pytest.mark.parametrize(("size", "accumulation"), [(ROWS, 1), (2, 4), (3, 3)])
def test_micro_batches_of_a_trainer_take_the_steps_of_one_big_batch(
    tmp_path, size, accumulation, weights
):
    shared = held_step(model(class_weights=weights))
    made = trainer(shared, tmp_path, size, accumulation, steps=2)
    made.train()
    expected = two_steps_by_hand(None if weights is None else torch.tensor(weights))
    for ours, theirs in zip(shared.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_objectives_without_a_term_log_the_task_alone(tmp_path):
    made = trainer(model(TwoSample()), tmp_path)
    made.train()
    names = [name for name in logged(made)[0] if name.startswith("terms/")]
    assert names == ["terms/task"]
