"""Find dropout that a model's configuration asks for and the model never applies.

Models of transformers are built from their configuration classes, so nothing is downloaded: one
layer each, with the published rates. `audit` runs each on a batch and counts what every dropout
site drops. A dropout module that is never called is reported if no other site of its parent module
drops anything: elsewhere a fused attention call, for example, takes its rate from such a module.

    python examples/find_dead_dropout.py
    python examples/find_dead_dropout.py bert roberta mra --table

Needs the extra `transformers`.
"""

import argparse
from collections.abc import Sequence

import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

import dropsmith as ds
from dropsmith.passes import AuditRow

WORDS = 100
SMALL = {
    "vocab_size": WORDS,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 128,
}
"""Sizes that many configurations share; their rates of dropout stay as they are."""

OF_A_TYPE = {"nystromformer": {"num_landmarks": 8, "segment_means_seq_len": 64}}
"""What a type needs besides, to run on sequences of 64 tokens."""


def main(argv: Sequence[str] | None = None) -> None:
    """Audit every model that was named."""
    args = arguments(argv)
    torch.manual_seed(0)
    batch = {
        "input_ids": torch.randint(5, WORDS, (4, 64)),
        "attention_mask": torch.ones(4, 64, dtype=torch.long),
    }
    for name in args.models:
        model = build(name)
        report = ds.audit(model, batch)
        print(f"{name}: {rates(model)}")
        if args.table:
            print(report)
        for site in dead(report):
            print(f"  {site} is never called, and nothing else in its module drops")


def build(name: str) -> PreTrainedModel:
    """One layer of a model, in train mode; it begins in eval mode only after `from_pretrained`."""
    config = AutoConfig.for_model(name, **SMALL | OF_A_TYPE.get(name, {}))
    return AutoModel.from_config(config).train()


def rates(model: PreTrainedModel) -> str:
    """The rates of dropout in a model's configuration."""
    settings = model.config.to_dict().items()
    found = [f"{key}={value}" for key, value in settings if "drop" in key and value]
    return ", ".join(found) or "no dropout in its configuration"


def dead(report: ds.Audit) -> list[str]:
    """Dropout modules that were never called, in modules of which no other site drops."""
    alive = {parent(row) for row in report.rows if row.on}
    never = [row for row in report.rows if "never called" in row.why]
    return [row.site.name for row in never if parent(row) not in alive]


def parent(row: AuditRow) -> str:
    """The module that a site's module stands in."""
    return row.site.name.rpartition(".")[0]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "models",
        nargs="*",
        default=["bert", "nystromformer", "yoso"],
        help="model types of transformers, such as bert",
    )
    parser.add_argument("--table", action="store_true", help="print every site")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
