"""Fine-tune a BERT with R-Drop in a plain loop, after proving that its dropout is on.

Shows `audit`, `consistent` and `terms_of` on a Hugging Face model whose code is not touched. The
model is small and starts from random weights, so nothing is downloaded and a run takes seconds.
With `from_pretrained` the rest stays as it is, but call `.train()` on what it returns.

Without `--data` the sentences are those of docstrings in Python's standard library, and the
question is which module a sentence is from. With it, any table of texts and labels:

    python examples/fine_tune_bert_r_drop.py
    python examples/fine_tune_bert_r_drop.py --data reviews.csv --alpha 5
    python examples/fine_tune_bert_r_drop.py --alpha 0          # the two-sample control

Needs the extra `transformers`.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from example_data import docstrings, write_rows
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

import dropsmith as ds
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.objectives import RDrop
from dropsmith.tasks import Data, Split, find_task

Batch = dict[str, Tensor]


def main(argv: Sequence[str] | None = None) -> None:
    """Read, audit, train, report."""
    args = arguments(argv)
    torch.manual_seed(args.seed)
    data = read(args.data, args.limit)
    model = bert(data, args.width, args.layers)
    print(f"{len(data.train)} training sentences of {data.classes} kinds: {data.source}\n")
    print(ds.audit(model, inputs(data.train.rows(slice(0, 16)))), "\n")
    model = consistent(model, RDrop(alpha=args.alpha))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
    for epoch in range(args.epochs):
        for batch in batches(data.train, args.batch_size):
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()
        parts = ", ".join(f"{name} {mean.value:.3f}" for name, mean in terms_of(model).items())
        right = accuracy(model, data.validation)
        print(f"epoch {epoch + 1}, its last batch: {parts}; validation accuracy {right:.1%}")
    print(f"test accuracy {accuracy(restore(model), data.test):.1%}")


def read(table: Path | None, limit: int | None) -> Data:
    """The sentences of a table, or of docstrings."""
    if table is not None:
        return find_task(str(table)).load(limit=limit)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "docstrings.csv"
        write_rows(path, ("text", "label"), list(docstrings()))
        return find_task(str(path)).load(limit=limit)


def bert(data: Data, width: int, layers: int) -> BertForSequenceClassification:
    """A small BERT with its usual dropout of 0.1, in hidden states and attention."""
    config = BertConfig(
        vocab_size=len(data.vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=4 * width,
        max_position_embeddings=64,
    )
    config.num_labels = data.classes
    return BertForSequenceClassification(config)


def inputs(rows: Batch) -> Batch:
    """A task's rows under the names that BERT takes; token 0 is padding."""
    tokens = rows["tokens"]
    return {
        "input_ids": tokens,
        "attention_mask": (tokens != 0).long(),
        "labels": rows["labels"],
    }


def batches(split: Split, size: int) -> Iterator[Batch]:
    """The examples in a new order."""
    for rows in torch.randperm(len(split)).split(size):
        yield inputs(split.rows(rows))


@torch.no_grad()
def accuracy(model: BertForSequenceClassification, split: Split) -> float:
    """The share of sentences that are labelled rightly, without noise."""
    model.eval()
    batch = inputs(split.rows(slice(None)))
    right = model(**batch).logits.argmax(-1) == batch["labels"]
    model.train()
    return float(right.float().mean())


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a table with columns text (or sentence), label")
    parser.add_argument("--limit", type=int, help="use only this many training sentences")
    parser.add_argument("--alpha", type=float, default=1.0, help="R-Drop's coefficient")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
