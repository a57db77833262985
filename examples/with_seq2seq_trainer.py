"""R-Drop for translation in the Seq2SeqTrainer of transformers, with label smoothing.

The smoothing is given to `consistent`, since a trainer's own takes the labels away from the model;
the term compares the outputs as they are, as in the paper. Without `--data` the two languages are
numbers in words and in digits; with it, German and English captions of Multi30k.

    python examples/with_seq2seq_trainer.py
    python examples/with_seq2seq_trainer.py --data DIR/multi30k/raw --limit 2000

Needs the extra `transformers`.
"""

import argparse
import gzip
import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerFast,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
)

import dropsmith as ds

Pairs = list[tuple[str, str]]
ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def main(argv: Sequence[str] | None = None) -> None:
    """Read, train, translate."""
    args = arguments(argv)
    torch.manual_seed(0)
    pairs = read(args.data, args.limit)
    words = tokenizer(text for pair in pairs for text in pair)
    model = ds.consistent(t5(words, args.width), ds.RDrop(alpha=args.alpha), label_smoothing=0.1)
    held_out, training = pairs[:20], pairs[20:]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Seq2SeqTrainer(
            model,
            settings(folder, args.steps),
            train_dataset=[encoded(words, *pair) for pair in training],
            eval_dataset=[encoded(words, *pair) for pair in held_out],
            data_collator=DataCollatorForSeq2Seq(words, model),
            processing_class=words,
        )
        trainer.train()
        found = trainer.predict(trainer.eval_dataset, max_new_tokens=24)  # pyright: ignore
    parts = ", ".join(f"{name} {mean.value:.3f}" for name, mean in ds.terms_of(model).items())
    print(f"{len(training)} pairs, the last batch: {parts}")
    print(f"held out: loss {found.metrics['test_loss']:.3f}")
    said = words.batch_decode(found.predictions.clip(min=0), skip_special_tokens=True)
    print(f"{held_out[0][0]!r} → {said[0]!r}")


def read(folder: Path | None, limit: int) -> Pairs:
    """Pairs of sentences, or of numbers in words and in digits."""
    if folder is None:
        drawn = random.Random(0).sample(range(1000, 10_000), limit)
        return [(" ".join(ONES[int(digit)] for digit in str(n)), " ".join(str(n))) for n in drawn]
    sides = []
    for language in ("de", "en"):
        with gzip.open(folder / f"train.{language}.gz", "rt", encoding="utf-8") as file:
            sides.append([line.strip() for _, line in zip(range(limit), file, strict=False)])
    return list(zip(*sides, strict=True))


def tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte pairs of both languages."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=special, show_progress=False)
    made.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>")


def encoded(words: PreTrainedTokenizerFast, source: str, target: str) -> dict[str, list[int]]:
    """One pair in numbers, each side with its end."""
    ids = [words(side, truncation=True, max_length=40)["input_ids"] for side in (source, target)]
    return {"input_ids": [*ids[0], 1], "labels": [*ids[1], 1]}  # pyright: ignore


def t5(words: PreTrainedTokenizerFast, width: int) -> T5ForConditionalGeneration:
    """Two layers on either side, with T5's usual dropout of 0.1."""
    sizes = {"d_model": width, "d_kv": width // 2, "d_ff": 2 * width, "num_layers": 2}
    config = T5Config(vocab_size=len(words), num_heads=2, decoder_start_token_id=0, **sizes)
    return T5ForConditionalGeneration(config)


def settings(folder: str, steps: int) -> Seq2SeqTrainingArguments:
    """Two micro-batches to a step; predictions are generated."""
    return Seq2SeqTrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        predict_with_generate=True,
        report_to=[],
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder with train.de.gz and train.en.gz")
    parser.add_argument("--limit", type=int, default=500, help="pairs to read, 20 held out")
    parser.add_argument("--alpha", type=float, default=5.0, help="R-Drop's coefficient")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--width", type=int, default=64)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
