"""Stock trainers, unchanged, train on the term."""

import inspect
import statistics
import textwrap
import zlib
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dropsmith as ds
from consistency.hugging_face import bert
from consistency.tiny import X, Y, assert_equal_gradients, net, of_rows, squared
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import Fraternal, RDrop

transformers = pytest.importorskip("transformers")
KAPPA, RATE = 5.0, 0.05
PLAN = ds.Plan(
    ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.3)),
    ds.rule("**.attention()", ds.Bernoulli(rate=0.3)),
)


def examples():
    """Which of two modules of Python does a docstring come from? Words are hashed."""
    found = []
    for label, module in enumerate((statistics, textwrap)):
        for _, one in inspect.getmembers(module, inspect.isroutine):
            ids = [1 + zlib.crc32(word.encode()) % 28 for word in (one.__doc__ or "").split()]
            if ids:
                row = torch.tensor((ids + [0] * 12)[:12])
                mask = torch.tensor([1] * min(len(ids), 12) + [0] * max(12 - len(ids), 0))
                found.append({"input_ids": row, "attention_mask": mask, "labels": label})
    return found


def stack(rows):
    return {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0]}


def classifier():
    return bert("ForSequenceClassification", dropout=0.3)


def trainer(model, folder, **settings):
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
        per_device_train_batch_size=6,
        max_steps=3,
        logging_steps=1,
        **settings,
    )
    seen = []

    def collate(rows):
        batch = stack(rows)
        if model.training:
            seen.append(batch)
        return batch

    made = transformers.Trainer(
        model, arguments, train_dataset=examples(), eval_dataset=examples(), data_collator=collate
    )
    return made, seen


def by_hand(batches, accumulation):
    """The same steps in plain torch: views one after the other, gradients of the whole mean."""
    model = classifier()
    PLAN.install(model)
    losses = []
    for start in range(0, 3 * accumulation, accumulation):
        group, loss = batches[start : start + accumulation], 0.0
        items = sum(len(batch["labels"]) for batch in group)
        for batch in group:
            outputs = ds.views(model, {k: v for k, v in batch.items() if k != "labels"})
            first, second = (output.logits for output in outputs.outputs)
            task = F.cross_entropy(torch.cat([first, second]), batch["labels"].repeat(2))
            part = (task + KAPPA * squared([first, second])) * len(batch["labels"]) / items
            part.backward()
            loss += part.item()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= RATE * parameter.grad
                parameter.grad = None
        losses.append(loss)
    return losses, model


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_stock_trainer_takes_the_steps_that_are_taken_by_hand(tmp_path, accumulation):
    model = consistent(classifier(), Fraternal(kappa=KAPPA), plan=PLAN)
    made, seen = trainer(model, tmp_path, gradient_accumulation_steps=accumulation)
    made.train()
    losses, other = by_hand(seen, accumulation)
    logged = [row["loss"] for row in made.state.log_history if "loss" in row]
    assert logged == pytest.approx(losses, abs=1e-5)
    trained, expected = model.state_dict(), other.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(trained[name], value, rtol=1e-5, atol=1e-6)
    assert terms_of(model)["consistency"].value > 0


def test_the_stock_trainer_evaluates_the_model_itself(tmp_path):
    model = consistent(classifier(), RDrop(alpha=1), plan=PLAN)
    made, _ = trainer(model, tmp_path)
    made.train()
    step = ds.noise_of(model).step
    found = made.predict(examples())
    plain, whole = restore(deepcopy(model)).eval(), stack(examples())
    with torch.no_grad():
        output = plain(**whole)
    assert found.predictions.shape == (len(examples()), 2)
    torch.testing.assert_close(torch.from_numpy(found.predictions), output.logits)
    assert found.metrics["test_loss"] == pytest.approx(output.loss.item(), abs=1e-5)
    assert ds.noise_of(model).step == step == 3


@pytest.mark.parametrize(
    "taking", [{"label_smoothing_factor": 0.1}, {"compute_loss_func": lambda *args, **kwargs: 0}]
)
def test_a_trainer_that_takes_the_labels_away_ends_in_an_error_that_says_so(tmp_path, taking):
    settings = dict(taking)
    own_loss = settings.pop("compute_loss_func", None)
    made, _ = trainer(consistent(classifier(), RDrop(alpha=1)), tmp_path, **settings)
    made.compute_loss_func = own_loss
    with pytest.raises(ObjectiveError, match=r"needs labels[\s\S]*label smoothing"):
        made.train()


class Weighted(transformers.Trainer):
    """The override with class weights that the documentation of Trainer shows."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(**inputs)
        weight = torch.tensor([1.0, 3.0])
        loss = F.cross_entropy(outputs.logits, inputs["labels"], weight=weight)
        return (loss, outputs) if return_outputs else loss


def test_a_trainer_with_a_loss_of_its_own_is_told_that_the_term_is_not_trained_on(tmp_path):
    made, _ = trainer(consistent(classifier(), RDrop(alpha=1)), tmp_path)
    made.__class__, made.args.max_steps = Weighted, 5
    with pytest.warns(UserWarning, match="not trained on: in 3 steps") as said:
        made.train()
    assert len([w for w in said if "not trained on" in str(w.message)]) == 1


@pytest.fixture
def accelerator():
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # Trainers of other tests in this process leave their settings behind.
    AcceleratorState._reset_state(reset_partial_state=True)
    yield lambda **settings: Accelerator(cpu=True, **settings)
    AcceleratorState._reset_state(reset_partial_state=True)


ROWS = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5)))


def test_a_prepared_model_takes_the_same_step(accelerator):
    model = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=ROWS)
    other = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=ROWS)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    engine = accelerator()
    prepared, optimizer, loader = engine.prepare(model, optimizer, loader)
    for x, y in loader:
        engine.backward(prepared(x, labels=y).loss)
        optimizer.step()
    other(X, labels=Y).loss.backward()
    assert_equal_gradients(model, other)
    assert engine.unwrap_model(prepared) is model


def test_a_model_prepared_for_mixed_precision_returns_wide_scores_and_trains(accelerator):
    model = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=ROWS)
    exact = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=ROWS)(X, labels=Y)
    engine = accelerator(mixed_precision="bf16")
    prepared = engine.prepare(model)
    output = prepared(X, labels=Y)
    assert (output.logits.dtype, output.loss.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(output.loss, exact.loss, rtol=2e-2, atol=2e-2)
    engine.backward(output.loss)
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_accumulation_by_accelerate_adds_up_to_the_whole_batch(accelerator):
    plan = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5, shared="batch")))
    model = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=plan)
    whole = consistent(net(), RDrop(alpha=2.0), loss=of_rows, plan=plan)
    engine = accelerator(gradient_accumulation_steps=4)
    prepared = engine.prepare(model)
    for x, y in zip(X.chunk(4), Y.chunk(4), strict=True):
        ds.step(model, 0)
        with engine.accumulate(prepared):
            engine.backward(prepared(x, labels=y).loss)
    whole(X, labels=Y).loss.backward()
    assert_equal_gradients(model, whole)


def test_the_stock_trainer_trains_a_plain_module_too(tmp_path):
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.drop, self.head = (
                nn.EmbeddingBag(30, 16),
                nn.Dropout(0.5),
                nn.Linear(16, 2),
            )

        def forward(self, input_ids, labels=None):
            return self.head(self.drop(self.embed(input_ids)))

    model = consistent(Plain(), RDrop(alpha=1), loss=of_rows)
    before = deepcopy(model.state_dict())
    made, _ = trainer(model, tmp_path)
    made.train()
    assert not torch.equal(model.head.weight, before["head.weight"])
    assert terms_of(model)["task"].count == 12
