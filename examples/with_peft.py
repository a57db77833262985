"""R-Drop on LoRA: the base stays as it is, and both views train the adapters.

`consistent` may be called before or after `get_peft_model`. Here the adapters drop, too.

    python examples/with_peft.py
    python examples/with_peft.py --data DIR/nlu/sst2 --alpha 2

Needs the extras `transformers` and `peft`.
"""

from collections.abc import Sequence

import torch
from fine_tune_bert_r_drop import batches, bert, inputs, read
from peft import LoraConfig, get_peft_model
from with_trainer import arguments

import dropsmith as ds


def main(argv: Sequence[str] | None = None) -> None:
    """Read, wrap, train, report."""
    args = arguments(argv)
    torch.manual_seed(args.seed)
    data = read(args.data, args.limit)
    lora = LoraConfig(task_type="SEQ_CLS", r=8, lora_dropout=0.1, target_modules=["query", "value"])
    model = get_peft_model(bert(data, args.width, args.layers), lora)
    model = ds.consistent(model, ds.RDrop(alpha=args.alpha))
    trained = [p for p in model.parameters() if p.requires_grad]
    every = sum(p.numel() for p in model.parameters())
    print(f"{sum(p.numel() for p in trained)} of {every} weights are trained")
    optimizer = torch.optim.AdamW(trained, lr=5 * args.learning_rate)
    for _ in range(args.epochs):
        for batch in batches(data.train, 32):
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()
    parts = ", ".join(f"{name} {mean.value:.3f}" for name, mean in ds.terms_of(model).items())
    print(f"{len(data.train)} sentences, the last batch: {parts}")
    rows = inputs(data.validation.rows(slice(None)))
    with torch.no_grad():
        right = model.eval()(**rows).logits.argmax(-1) == rows["labels"]
    print(f"validation accuracy {right.float().mean():.1%}")


if __name__ == "__main__":
    main()
