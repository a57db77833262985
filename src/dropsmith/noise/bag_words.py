"""Word dropout in the bags of an `nn.EmbeddingBag`."""

from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.errors import SiteError
from dropsmith.interception import Attachment
from dropsmith.noise.site_noise import SiteNoise


class BagWords(Attachment):
    """Noise on the rows of an embedding that are summed or averaged, by word type.

    A dropped word counts as a row of zeros in its bag: an average divides by as many words as
    without noise, as dropout before the average would have it.
    """

    def __init__(self, module: nn.EmbeddingBag, site_noise: SiteNoise) -> None:
        super().__init__(module)
        self.site_noise = site_noise
        if module.mode == "max":
            raise SiteError(
                f"site {site_noise.site.name!r} takes the maximum of its words, in which a word "
                "that is missing leaves no zero\n  use mode='sum' or 'mean', or drop its output: "
                "Bernoulli(rate=...)"
            )

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_hook(self, with_kwargs=True))

    def __call__(self, module: Any, args: Any, kwargs: dict[str, Any], output: Tensor) -> Any:
        if not self.site_noise.noise.active(module.training):
            return None
        arguments = (
            dict(zip(("input", "offsets", "per_sample_weights"), args, strict=False)) | kwargs
        )
        bags = _Bags.of(arguments["input"], arguments.get("offsets"), module.include_last_offset)
        unit_rows = torch.ones(*bags.ids.shape, 1, dtype=output.dtype, device=output.device)
        factors = self.site_noise.words(unit_rows, bags.ids).squeeze(-1)[bags.bag, bags.place]
        if arguments.get("per_sample_weights") is not None:
            factors = factors * arguments["per_sample_weights"].reshape(-1)
        if module.mode == "mean":
            factors = factors / bags.counts(module.padding_idx)[bags.bag]
        return F.embedding_bag(
            arguments["input"].reshape(-1),
            module.weight,
            bags.starts,
            max_norm=module.max_norm,
            norm_type=module.norm_type,
            mode="sum",
            sparse=module.sparse,
            per_sample_weights=factors.to(output.dtype),
            padding_idx=module.padding_idx,
        )


@final
@dataclass(frozen=True, eq=False)
class _Bags:
    """The words of several bags.

    Args:
        flat: all word ids, one bag after the other.
        starts: where each bag starts.
        bag: the bag of each id.
        place: the place of each id in its bag.
        ids: `[bag, place]`, shorter bags filled up with zeros.
    """

    flat: Tensor
    starts: Tensor
    bag: Tensor
    place: Tensor
    ids: Tensor

    @classmethod
    def of(cls, ids: Tensor, offsets: Tensor | None, with_end: bool) -> "_Bags":
        """The bags of a call: the rows of a matrix, or a list cut at `offsets`."""
        if offsets is None:
            rows, length = ids.shape
            starts = torch.arange(rows, device=ids.device) * length
        else:
            starts, length = offsets[: len(offsets) - with_end], None
        flat = ids.reshape(-1)
        ends = torch.cat([starts[1:], starts.new_tensor([len(flat)])])
        if with_end and offsets is not None:
            ends = offsets[1:]
        sizes = ends - starts
        bag = torch.repeat_interleave(torch.arange(len(starts), device=ids.device), sizes)
        place = torch.arange(len(bag), device=ids.device) - starts[bag]
        longest = length if length is not None else int(sizes.max()) if len(sizes) else 0
        table = flat.new_zeros(len(starts), longest)
        table[bag, place] = flat[: len(bag)]
        return cls(flat, starts, bag, place, table)

    def counts(self, padding: int | None) -> Tensor:
        """Count the words in each bag that are no padding; 1 where there is none."""
        real = torch.ones_like(self.bag) if padding is None else (self.flat != padding).long()
        return torch.zeros_like(self.starts).index_add(0, self.bag, real).clamp(min=1)
