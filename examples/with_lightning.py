"""R-Drop in Lightning: `training_step` returns the model's own loss, which has the term.

Lightning leaves a model in the mode it finds: call `.train()` on what `from_pretrained` returns.
`CarryStep` keeps masks and warm-up exact after a resume.

    python examples/with_lightning.py
    python examples/with_lightning.py --data DIR/nlu/sst2 --alpha 2

Needs the extras `transformers` and `lightning`.
"""

import logging
from collections.abc import Sequence

import lightning
import torch
from fine_tune_bert_r_drop import Batch, bert, inputs, read
from torch.utils.data import DataLoader
from with_trainer import arguments, examples

import dropsmith as ds
from dropsmith.adapters.lightning import CarryStep


class Classifier(lightning.LightningModule):
    """A model that has its loss inside, and an optimiser."""

    def __init__(self, model: torch.nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.model, self.learning_rate = model, learning_rate

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The loss, term included."""
        return self.model(**batch).loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), self.learning_rate)


def main(argv: Sequence[str] | None = None) -> None:
    """Read, train, report."""
    args = arguments(argv)
    torch.manual_seed(args.seed)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = read(args.data, args.limit)
    model = ds.consistent(bert(data, args.width, args.layers), ds.RDrop(alpha=args.alpha, warmup=5))
    trainer = lightning.Trainer(
        max_epochs=args.epochs,
        accelerator="cpu",
        callbacks=[CarryStep()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(examples(data.train), batch_size=32, shuffle=True)  # pyright: ignore
    trainer.fit(Classifier(model, args.learning_rate), loader)
    parts = ", ".join(f"{name} {mean.value:.3f}" for name, mean in ds.terms_of(model).items())
    print(f"{len(data.train)} sentences, the last batch: {parts}")
    rows = inputs(data.validation.rows(slice(None)))
    with torch.no_grad():
        right = model.eval()(**rows).logits.argmax(-1) == rows["labels"]
    print(f"validation accuracy {right.float().mean():.1%}")


if __name__ == "__main__":
    main()
