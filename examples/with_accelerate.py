"""R-Drop in a loop on Accelerate, stopped in the middle and resumed to the same weights.

`consistent` goes before `prepare`. The step of the masks is one more object to checkpoint.

    python examples/with_accelerate.py
    python examples/with_accelerate.py --data DIR/nlu/sst2 --alpha 2

Needs the extra `transformers`.
"""

import tempfile
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from fine_tune_bert_r_drop import bert, inputs, read
from torch.utils.data import DataLoader
from with_trainer import arguments, examples

import dropsmith as ds
from dropsmith.tasks import Data

PLAN = ds.Plan(
    ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.1)),
    ds.rule("**.attention()", ds.Bernoulli(rate=0.1)),
)
"""All of BERT's noise is drawn from its step, so that it comes back after a resume."""


class Run:
    """Everything that a run is, prepared."""

    def __init__(self, data: Data, args: Any) -> None:
        torch.manual_seed(args.seed)
        model = bert(data, args.width, args.layers)
        self.model = ds.consistent(model, ds.RDrop(alpha=args.alpha, warmup=5), plan=PLAN)
        self.engine = Accelerator(cpu=True)
        optimizer = torch.optim.AdamW(model.parameters(), args.learning_rate)
        loader = DataLoader(examples(data.train), batch_size=32)  # pyright: ignore
        self.prepared, self.optimizer, self.loader = self.engine.prepare(model, optimizer, loader)
        self.engine.register_for_checkpointing(ds.noise_of(model))

    def train(self, epochs: int) -> None:
        """An ordinary loop."""
        self.prepared.train()
        for _ in range(epochs):
            for batch in self.loader:
                self.optimizer.zero_grad()
                self.engine.backward(self.prepared(**batch).loss)
                self.optimizer.step()


def main(argv: Sequence[str] | None = None) -> None:
    """Read, train, stop, resume, report."""
    args = arguments(argv)
    data = read(args.data, args.limit)
    with tempfile.TemporaryDirectory() as folder:
        whole, half = Run(data, args), args.epochs // 2
        whole.train(half)
        whole.engine.save_state(folder)
        whole.train(args.epochs - half)
        resumed = Run(data, args)
        resumed.engine.load_state(folder)
        resumed.train(args.epochs - half)
    pairs = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    same = all(torch.equal(ours, theirs) for ours, theirs in pairs)
    print(f"resumed at step {half * len(whole.loader)}: weights {'equal' if same else 'differ'}")
    rows = inputs(data.validation.rows(slice(None)))
    with torch.no_grad():
        right = whole.model.eval()(**rows).logits.argmax(-1) == rows["labels"]
    print(f"validation accuracy {right.float().mean():.1%}")


if __name__ == "__main__":
    main()
