"""The samples of a batch as they come in: the sums of each output, and whether they are enough."""

from typing import Any

import torch
from torch import Tensor

from dropsmith.batches import Arguments
from dropsmith.prediction.class_axis import find_class_axis, has_axis
from dropsmith.prediction.draws import SampleSize, StandardError
from dropsmith.prediction.heads import Head, Name, Parts
from dropsmith.prediction.kinds import stated_class_axis
from dropsmith.prediction.moments import Moments
from dropsmith.prediction.padding import item_mask
from dropsmith.prediction.prediction import Prediction
from dropsmith.prediction.probe import Probe
from dropsmith.prediction.sampler import Sampler


class Collector:
    """Takes in samples, and makes a prediction of each output.

    Args:
        sampler: that runs the model, with the outputs that are wanted.
        inputs: the arguments of the batch.
        batch: as it was given.
        way: in which it is run.
        size: how many samples, and how they lie together.
        keep: whether to hold on to every sample.
        mask: which items count, where somebody says it.
    """

    def __init__(
        self,
        sampler: Sampler,
        inputs: Arguments,
        batch: Any,
        way: Probe,
        size: SampleSize,
        *,
        keep: bool,
        mask: Tensor | None,
    ) -> None:
        self.sampler, self.inputs, self.batch = sampler, inputs, batch
        self.way, self.size, self.keep, self.mask = way, size, keep, mask
        self.heads = sampler.heads
        self.moments: list[Moments] = []
        self.errors: list[StandardError] = []

    def add(self, parts: Parts) -> None:
        """Take in the scores of samples that were run together, `[samples, ...]` of each part."""
        if not self.moments:
            self._begin(tuple(part.shape[1:] for part in parts))
        for moments, own in zip(self.moments, self._by_head(parts), strict=True):
            moments.add_block(*own)

    @property
    def count(self) -> int:
        """The samples so far."""
        return self.moments[0].count

    @property
    def differ(self) -> bool:
        """True where samples of any output are not all the same."""
        return any(moments.differ for moments in self.moments)

    def is_complete(self) -> bool:
        """True at the end of a block after which the standard errors are small enough."""
        if not self.errors or self.count % self.size.block:
            return False
        small = [error.is_small() for error in self.errors]  # each takes in the block
        return all(small)

    def messages(self) -> list[str]:
        """The warnings: standard errors that are too large, outputs that no noise reaches."""
        messages = [error.message for error in self.errors if not error.reached][:1]
        pairs = zip(self.heads, self.moments, strict=True)
        if still := [repr(head.name) for head, moments in pairs if not moments.differ]:
            messages.append(
                f"no noise reaches {', '.join(still)}: all {self.count} samples of it are the same"
            )
        return messages

    def predictions(self) -> dict[Name | None, Prediction]:
        """The prediction of each output, by its name."""
        pairs = zip(self.heads, self.moments, strict=True)
        return {head.name: moments.prediction() for head, moments in pairs}

    def _begin(self, shapes: tuple[torch.Size, ...]) -> None:
        """Find what is to be known of each output, from the sizes of its first scores."""
        probed = self._by_head(self.way.shapes)
        for head, (shape, *_), (probe_shape, *_) in zip(
            self.heads, self._by_head(shapes), probed, strict=True
        ):
            axis = self._class_axis(head, shape) if has_axis(head) else -1
            items = tuple(shape)
            if has_axis(head):
                items = (*shape[: axis % len(shape)], *shape[axis % len(shape) + 1 :])
            rows = self._row_axis(shape, probe_shape)
            self.moments.append(
                Moments(
                    head.kind,
                    self.keep,
                    axis,
                    # What torch alone drew has no strata.
                    self.size.strata > 0 and self.sampler.drew_by_key,
                    spread=head.spread,
                    quantiles=head.quantiles,
                    mask=item_mask(items, self.batch, self.sampler.model, self.mask, rows),
                    row_axis=rows,
                )
            )
        if self.size.samples == "auto":
            self.errors = [StandardError(m, self.size.tolerance) for m in self.moments]

    def _class_axis(self, head: Head, shape: torch.Size) -> int:
        sampler = self.sampler
        stated = stated_class_axis(sampler.model) if head.places == (None,) else None
        return find_class_axis(
            tuple(shape),
            head,
            self.batch,
            stated=stated,
            traced=lambda: sampler.remembered(
                ("unit axes", head.places), lambda: sampler.unit_axes(head)
            ),
        )

    def _row_axis(self, shape: torch.Size, probe_shape: torch.Size) -> int:
        """The dimension of scores that counts the inputs."""
        pairs = enumerate(zip(shape, probe_shape, strict=False))
        other = [axis for axis, (size, probed) in pairs if size != probed]
        if len(shape) == len(probe_shape) and len(other) == 1:
            return other[0]
        outputs = self.sampler.layout.outputs
        if isinstance(outputs, int) and outputs < len(shape):
            return outputs
        return 0

    def _by_head(self, parts: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        counts, start, grouped = [len(head.places) for head in self.heads], 0, []
        for count in counts:
            grouped.append(parts[start : start + count])
            start += count
        return grouped
