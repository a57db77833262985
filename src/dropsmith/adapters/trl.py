"""TRL's trainer for supervised fine-tuning, on the model's own loss."""

from typing import Any

from torch import Tensor, nn

from dropsmith.errors import MissingExtra

try:
    import trl
    from transformers import Trainer
except ImportError:
    raise MissingExtra("dropsmith.adapters.trl", "trl", "trl") from None


class SFTTrainer(trl.SFTTrainer):  # pyright: ignore[reportPrivateImportUsage]
    """`trl.SFTTrainer` for a consistent model.

    TRL's own asks the model for the log-probabilities of the labels alone and never sees scores
    that two views could agree on. In training this one takes the loss that the model returns, whose
    terms are logged in place of entropy and token accuracy; evaluation is TRL's own.
    """

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The loss that the model returns, over all items of the optimiser step."""
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)
