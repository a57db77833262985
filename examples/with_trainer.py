"""R-Drop in the Trainer of transformers: one call before it, nothing in it, and a curve after it.

Sentences and model are those of `fine_tune_bert_r_drop.py`. Accumulation, mixed precision,
evaluation and resuming are Trainer's; `CarryStep` keeps masks and warm-up exact after a resume. The
two terms of the loss are in Trainer's log, and the picture shows them over the steps.

    python examples/with_trainer.py --curve r_drop.png
    python examples/with_trainer.py --data DIR/nlu/sst2 --alpha 2

Needs the extra `transformers`.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fine_tune_bert_r_drop import bert, inputs, read
from matplotlib.figure import Figure
from transformers import EvalPrediction, Trainer, TrainingArguments

import dropsmith as ds
from dropsmith.adapters.transformers import CarryStep
from dropsmith.tasks import Split


def main(argv: Sequence[str] | None = None) -> None:
    """Read, train, report."""
    args = arguments(argv)
    torch.manual_seed(args.seed)
    data = read(args.data, args.limit)
    model = ds.consistent(bert(data, args.width, args.layers), ds.RDrop(alpha=args.alpha, warmup=5))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            settings(folder, args),
            train_dataset=examples(data.train),
            eval_dataset=examples(data.validation),
            compute_metrics=accuracy,
            callbacks=[CarryStep()],
        )
        trainer.train()
        found = trainer.evaluate()
    parts = ", ".join(f"{name} {mean.value:.3f}" for name, mean in ds.terms_of(model).items())
    print(f"{len(data.train)} sentences, the last batch: {parts}")
    print(f"validation accuracy {found['eval_accuracy']:.1%}")
    if args.curve is not None:
        draw(trainer.state.log_history, args.curve)
        print(f"the terms over the steps: {args.curve}")


def settings(folder: str, args: argparse.Namespace) -> TrainingArguments:
    """Two micro-batches to a step, to show that they make the loss of the whole."""
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=args.epochs,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=2,
        learning_rate=args.learning_rate,
        report_to=[],
        logging_steps=args.log_every,
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def draw(log: list[dict[str, float]], path: Path) -> None:
    """A picture of the terms of the loss over the steps, as means over the steps between lines."""
    rows = [row for row in log if "terms/task" in row]
    figure = Figure(figsize=(6, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [row["step"] for row in rows]
    for axes, name in ((upper, "task"), (lower, "consistency")):
        axes.plot(steps, [row[f"terms/{name}"] for row in rows], marker=".")
        axes.set_ylabel(f"{name} (nats)")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    upper.set_title("Terms of the training loss")
    lower.set_xlabel("step")
    figure.savefig(path, dpi=150)


def examples(split: Split) -> list[dict[str, torch.Tensor]]:
    """One dictionary for each sentence, as Trainer takes them."""
    rows = inputs(split.rows(slice(None)))
    return [{name: value[i] for name, value in rows.items()} for i in range(len(split))]


def accuracy(predicted: EvalPrediction) -> dict[str, float]:
    """The share of sentences that are labelled rightly."""
    return {"accuracy": float(np.mean(predicted.predictions.argmax(-1) == predicted.label_ids))}


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, help="a table of texts and labels, or a folder of them"
    )
    parser.add_argument("--limit", type=int, help="use only this many training sentences")
    parser.add_argument("--alpha", type=float, default=1.0, help="R-Drop's coefficient")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--log-every", type=int, default=5, help="steps between lines of the log")
    parser.add_argument(
        "--curve", type=Path, help="a picture of the terms over the steps: FILE.png"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
