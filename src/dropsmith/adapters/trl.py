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

    TRL's own trainer computes the loss from log-probabilities of the labels, and never uses the
    loss of a consistent model. In training this class uses the loss that the model returns, and
    logs its terms in place of entropy and token accuracy; evaluation is TRL's own.
    """

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The loss that the model returns, averaged over all items of the optimiser step."""
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)
