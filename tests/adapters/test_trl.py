"""TRL's trainer for supervised fine-tuning, taken back to the model's own loss."""

import warnings

import pytest

from adapters.by_hand import ALPHA, PLAN, assert_took_the_step, hand, held_step
from adapters.texts import batch, gpt2, rows, sentences, tokenizer
from dropsmith.consistency import consistent
from dropsmith.errors import ObjectiveError
from dropsmith.objectives import RDrop

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
# What TRL and PEFT call by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated")
RATE = 1.0


def trainer(kind, model, folder, data, size=8, accumulation=1):
    settings = trl.SFTConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
        optim="sgd",
        learning_rate=RATE,
        lr_scheduler_type="constant",
        max_grad_norm=1e9,
        max_length=16,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulation,
        max_steps=1,
        logging_steps=1,
    )
    ids = [[t for t in row["labels"] if t != -100] for row in rows(data, "causal", 8)]
    made = datasets.Dataset.from_dict({"input_ids": ids})
    return kind(
        model, settings, train_dataset=made, eval_dataset=made, processing_class=tokenizer(data)
    )


@pytest.mark.parametrize(("size", "accumulation"), [(8, 1), (2, 4)])
def test_loss_and_gradient_are_those_by_hand_whole_and_in_four_parts(
    tmp_path, data_dir, size, accumulation
):
    from dropsmith.adapters.trl import SFTTrainer

    expected = hand(gpt2(), batch(rows(data_dir, "causal", 8)), shift=True)
    model = held_step(consistent(gpt2(), RDrop(alpha=ALPHA), plan=PLAN))
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    made = trainer(SFTTrainer, model, tmp_path, data_dir, size, accumulation)
    made.train()
    logged = next(row for row in made.state.log_history if "loss" in row)
    assert logged["loss"] == pytest.approx(expected.loss, rel=1e-4)
    assert logged["terms/consistency"] > 0
    assert_took_the_step(model, start, expected, RATE)


def test_evaluation_is_that_of_trl(tmp_path, data_dir):
    from dropsmith.adapters.trl import SFTTrainer

    model = consistent(gpt2(0.3), RDrop(alpha=ALPHA))
    ours = trainer(SFTTrainer, model, tmp_path, data_dir).evaluate()
    theirs = trainer(trl.SFTTrainer, gpt2(0.3), tmp_path, data_dir).evaluate()
    assert ours["eval_loss"] == pytest.approx(theirs["eval_loss"])
    assert len(sentences(data_dir, 8)) == 8


def test_the_stock_trainer_is_an_error_that_names_ours(tmp_path, data_dir):
    made = trainer(trl.SFTTrainer, consistent(gpt2(0.3), RDrop(alpha=1)), tmp_path, data_dir)
    with pytest.raises(ObjectiveError, match=r"fused head[\s\S]*dropsmith\.adapters\.trl"):
        made.train()
