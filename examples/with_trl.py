"""R-Drop in TRL's supervised fine-tuning, with a small GPT-2 from random weights.

TRL's own trainer never sees the scores that views should agree on: take ours, which differs in the
loss of training alone. Without `--data` the text is Python's language reference; with it,
WikiText-2.

    python examples/with_trl.py
    python examples/with_trl.py --data DIR/wikitext2 --limit 500

Needs the extra `trl`.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from trl import SFTConfig

import dropsmith as ds
from dropsmith.adapters.transformers import CarryStep
from dropsmith.adapters.trl import SFTTrainer
from dropsmith.tasks import Data, find_task


def main(argv: Sequence[str] | None = None) -> None:
    """Read, train, report."""
    args = arguments(argv)
    torch.manual_seed(0)
    data = find_task("wikitext2" if args.data else "python-docs").load(args.data, args.limit)
    model = ds.consistent(gpt2(data, args.width), ds.RDrop(alpha=args.alpha))
    windows = Dataset.from_dict({"input_ids": data.train.rows(slice(None))["tokens"].tolist()})
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model,
            settings(folder, args.steps),
            train_dataset=windows,
            processing_class=tokenizer(data),
            callbacks=[CarryStep()],
        )
        trainer.train()
    for row in trainer.state.log_history:
        if "loss" in row:
            term = row["terms/consistency"]
            print(f"step {row['step']}: loss {row['loss']:.3f}, consistency {term:.4f}")


def gpt2(data: Data, width: int) -> GPT2LMHeadModel:
    """Two layers, with GPT-2's usual dropout of 0.1."""
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
    sizes = {"n_positions": 64, "n_embd": width, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(data.vocabulary), **sizes, **ends))


def tokenizer(data: Data) -> PreTrainedTokenizerFast:
    """The task's own words, for the text is in numbers already."""
    numbers = {word: number for number, word in enumerate(data.vocabulary)}
    made = Tokenizer(models.WordLevel(numbers, unk_token=data.vocabulary[0]))
    ends = dict.fromkeys(("eos_token", "pad_token"), data.vocabulary[0])
    return PreTrainedTokenizerFast(tokenizer_object=made, **ends)


def settings(folder: str, steps: int) -> SFTConfig:
    """Two micro-batches to a step."""
    return SFTConfig(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        learning_rate=1e-3,
        logging_steps=max(1, steps // 4),
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder of WikiText-2")
    parser.add_argument("--limit", type=int, default=400, help="windows of text to train on")
    parser.add_argument("--alpha", type=float, default=1.0, help="R-Drop's coefficient")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--width", type=int, default=64)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
