"""The Trainers of transformers, unchanged, on real sentences: the term is there and exact."""

import pytest
import torch

import dropsmith as ds
from adapters.by_hand import ALPHA, PLAN, assert_took_the_step, hand, held_step
from adapters.texts import bag, batch, bert, gpt2, rows, t5
from dropsmith.consistency import consistent, terms_of
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop

transformers = pytest.importorskip("transformers")
RATE = 1.0
CASES = {
    "BERT": (bert, "classification", {}, {}),
    "GPT-2": (gpt2, "causal", {"shift": True}, {}),
    "T5": (t5, "tokens", {}, {}),
    "T5, smoothed": (t5, "tokens", {"smoothing": 0.1}, {"label_smoothing": 0.1}),
    "a plain module": (bag, "tokens", {}, {"loss": "tokens"}),
}


def trainer(kind, model, folder, examples, steps=1, size=32, callbacks=(), **settings):
    """A stock trainer, plain gradient descent."""
    seq2seq = kind == "Seq2SeqTrainer"
    arguments = transformers.Seq2SeqTrainingArguments if seq2seq else transformers.TrainingArguments
    given = {"save_strategy": "no", "optim": "sgd", "learning_rate": RATE} | settings
    return getattr(transformers, kind)(
        model,
        arguments(
            output_dir=str(folder),
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
            lr_scheduler_type="constant",
            max_grad_norm=1e9,  # not reached; it makes Trainer measure the gradient
            per_device_train_batch_size=size,
            max_steps=steps,
            logging_steps=1,
            remove_unused_columns=False,
            **given,
        ),
        train_dataset=examples,
        eval_dataset=examples,
        data_collator=batch,
        callbacks=list(callbacks),
    )


@pytest.mark.parametrize(("size", "accumulation"), [(32, 1), (8, 4)])
@pytest.mark.parametrize(("make", "task", "by", "given"), CASES.values(), ids=CASES)
def test_loss_and_gradient_are_those_by_hand_whole_and_in_four_parts(
    tmp_path, data_dir, make, task, by, given, size, accumulation
):
    examples = rows(data_dir, task)
    expected = hand(make(), batch(examples), **by)
    model = held_step(consistent(make(), RDrop(alpha=ALPHA), plan=PLAN, **given))
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    kind = "Seq2SeqTrainer" if make is t5 else "Trainer"
    settings = {"gradient_accumulation_steps": accumulation, "size": size}
    made = trainer(kind, model, tmp_path, examples, **settings)
    made.train()
    logged = next(row for row in made.state.log_history if "loss" in row)
    assert logged["loss"] == pytest.approx(expected.loss, rel=1e-4)
    assert logged["grad_norm"] == pytest.approx(expected.norm, rel=1e-3)
    assert_took_the_step(model, start, expected, RATE)
    assert terms_of(model)["consistency"].value > 0


def test_evaluation_and_generation_of_a_consistent_model_are_its_own(tmp_path, data_dir):
    examples = rows(data_dir, "tokens", 8)
    found = []
    for model in (t5(0.3), consistent(t5(0.3), RDrop(alpha=ALPHA))):
        made = trainer("Seq2SeqTrainer", model, tmp_path, examples, predict_with_generate=True)
        found.append(made.predict(examples, max_new_tokens=6))
        assert "eval_loss" in made.evaluate(max_new_tokens=6)
    plain, ours = found
    assert (plain.predictions == ours.predictions).all()
    assert plain.metrics["test_loss"] == pytest.approx(ours.metrics["test_loss"])


def test_a_module_whose_forward_takes_no_item_count_is_evaluated_all_the_same(tmp_path, data_dir):
    model = consistent(bag(), RDrop(alpha=ALPHA), plan=PLAN, loss="tokens")
    made = trainer("Trainer", model, tmp_path, rows(data_dir, "tokens", 8), steps=2, size=4)
    made.train()
    scores = made.predict(rows(data_dir, "tokens", 8)).predictions
    assert scores.shape == (8, 16, 160)


def test_what_trainers_were_told_is_taken_back_by_restore():
    model = gpt2()
    before = dict(model.__dict__)
    consistent(model, RDrop(alpha=1))
    assert model.accepts_loss_kwargs
    assert model.loss_type == "ForCausalLM"
    ds.restore(model)
    assert model.__dict__.keys() == before.keys()
    assert model.loss_type is None


def test_smoothing_by_the_trainer_is_an_error_that_says_where_to_set_it(tmp_path, data_dir):
    model = consistent(t5(0.3), RDrop(alpha=1))
    settings = {"size": 4, "label_smoothing_factor": 0.1}
    made = trainer("Seq2SeqTrainer", model, tmp_path, rows(data_dir, "tokens", 8), **settings)
    with pytest.raises(ObjectiveError, match=r"needs labels[\s\S]*label_smoothing=0\.1"):
        made.train()


KEYED = ds.Plan(
    ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.3)),
    ds.rule("**.attention()", ds.Bernoulli(rate=0.3)),
)


def resumable(folder, examples, steps, carried=True):
    from dropsmith.adapters.transformers import CarryStep

    model = consistent(bert(0.3), RDrop(alpha=ALPHA, warmup=6), plan=KEYED)
    settings = {"save_strategy": "steps", "save_steps": 3, "gradient_accumulation_steps": 2}
    callbacks = [CarryStep()] if carried else []
    settings |= {"optim": "adamw_torch", "learning_rate": 1e-2, "callbacks": callbacks}
    return trainer("Trainer", model, folder, examples, steps=steps, size=4, **settings)


def test_a_resumed_run_has_the_masks_of_an_unbroken_one(tmp_path, data_dir):
    examples = rows(data_dir, "classification")
    whole = resumable(tmp_path, examples, 6)
    whole.train()
    again = resumable(tmp_path, examples, 6)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert ds.noise_of(again.model).step == ds.noise_of(whole.model).step == 12
    for ours, theirs in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_resumed_run_that_cannot_know_its_step_says_so_in_one_line(tmp_path, data_dir):
    from dropsmith.adapters.transformers import CarryStep

    examples = rows(data_dir, "classification")
    resumable(tmp_path, examples, 3, carried=False).train()
    checkpoint = str(tmp_path / "checkpoint-3")
    without = resumable(tmp_path, examples, 4, carried=False)
    with pytest.warns(UserWarning, match=r"whose step is 0: [\s\S]*ds\.step"):
        without.train(resume_from_checkpoint=checkpoint)
    late = resumable(tmp_path, examples, 4, carried=False)
    late.add_callback(CarryStep())
    with pytest.warns(UserWarning, match="checkpoint of step 3 was written without CarryStep"):
        late.train(resume_from_checkpoint=checkpoint)
