"""Small models of many kinds, with batches of theirs, whose rows lie in many places."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dropsmith.batches import Arguments, Layout, Trial, arguments, find_layout, leaves_of
from dropsmith.batches.leaf_rows import Axis


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def words(*shape: int, most: int = 9, seed: int = 0) -> Tensor:
    return torch.randint(1, most, shape, generator=torch.Generator().manual_seed(seed))


def seeded(build: Any, *args: Any, **kwargs: Any) -> Any:
    """A module with weights that are the same every time, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(*args, **kwargs).eval()


def layout_by_running(model: nn.Module, batch: Any, **said: Axis) -> Layout:
    def run(given: Arguments, views: int, rows: int | None = None) -> Trial:
        return Trial(output=model(*given.args, **given.kwargs), draws=())

    with torch.no_grad():
        return find_layout(arguments(model, batch), run, said)


def flat(output: Any) -> list[Any]:
    """The leaves of an output, the sequences of packed ones and the rows of nested ones apart."""
    leaves: list[Any] = []
    for leaf in leaves_of(output):
        if isinstance(leaf, Tensor) and leaf.is_nested:
            leaves += leaf.unbind()
        elif hasattr(leaf, "batch_sizes"):
            padded, lengths = nn.utils.rnn.pad_packed_sequence(leaf, batch_first=True)
            leaves += [row[:n] for row, n in zip(padded, lengths.tolist(), strict=True)]
        else:
            leaves.append(leaf)
    return leaves


def assert_same(output: Any, expected: Any, close: float = 1e-5) -> None:
    leaves, wanted = flat(output), flat(expected)
    assert type(output) is type(expected)
    assert len(leaves) == len(wanted)
    for leaf, want in zip(leaves, wanted, strict=True):
        if isinstance(want, Tensor):
            torch.testing.assert_close(leaf, want, rtol=close, atol=close)
        elif not hasattr(want, "__dict__"):
            assert leaf == want


def assert_stacks(model: nn.Module, layout: Layout, *calls: Arguments) -> None:
    """One pass over the rows of several calls gives what a pass over each of them gives."""
    assert layout.stackable, layout.dependence
    sizes = [layout.argument_rows(call) for call in calls]
    with torch.no_grad():
        expected = [model(*call.args, **call.kwargs) for call in map(layout.fresh, calls)]
        joined = layout.combine([layout.fresh(call) for call in calls])
        views = layout.cut(model(*joined.args, **joined.kwargs), sizes)
    for view, want in zip(views, expected, strict=True):
        assert_same(view, want)


class Attend(nn.Module):
    """Attention of torch, with masks and either layout."""

    def __init__(self, width: int = 4, heads: int = 2, batch_first: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=batch_first)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, padding: Tensor | None = None
    ) -> Tensor:
        return self.attention(x, x, x, attn_mask=mask, key_padding_mask=padding)[0]


class Positioned(nn.Module):
    """Words with positions of one row, or of every row."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(9, 4), nn.Embedding(9, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, ids: Tensor, position_ids: Tensor) -> Tensor:
        return self.layer(self.words(ids) + self.positions(position_ids))


class ClassTable(nn.Module):
    """Scores of rows by their products with a table of classes."""

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        return x @ table.T


class Pair(NamedTuple):
    mean: Tensor
    scale: Tensor


@dataclass
class Moments:
    mean: Tensor
    scale: Tensor
    name: str = "moments"


class Returns(nn.Module):
    """Returns what a function makes of a layer's output."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.layer, self.form = nn.Linear(3, 3), form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.layer(x))


class Detector(nn.Module):
    """Images of several sizes and targets in lists; losses in train mode, boxes in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        boxes = [self.layer(image).mean((1, 2)) for image in images]
        if not self.training:
            return [{"boxes": box[None], "scores": box.softmax(0)} for box in boxes]
        assert targets is not None
        pairs = zip(boxes, targets, strict=True)
        losses = torch.stack([(box - target["boxes"]).square().mean() for box, target in pairs])
        return {"loss_boxes": losses.mean(), "loss_scores": torch.stack(boxes).abs().mean()}


class Graph(nn.Module):
    """Each node with the sum of its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        source, target = edge_index
        return self.layer(x + torch.zeros_like(x).index_add(0, target, x[source]))


class Contrastive(nn.Module):
    """Scores of every row beside every row."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ x.T


class SetModel(nn.Module):
    """Rows beside the mean of all rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class AcrossBatch(nn.Module):
    """Attention whose sequence is the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class PackedPictures(nn.Module):
    """Pictures whose patches lie after one another, counted by a grid for each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, patches: Tensor, image_grid_thw: Tensor) -> Tensor:
        counts = image_grid_thw.prod(-1).tolist()
        assert sum(counts) == len(patches)
        return torch.stack([part.mean(0) for part in self.layer(patches).split(counts)])


class Recurrent(nn.Module):
    """A recurrent layer with the state it begins with."""

    def __init__(self, batch_first: bool, units: int = 5, layers: int = 1) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, units, layers, batch_first=batch_first)

    def forward(self, x: Any, state: tuple[Tensor, Tensor] | None = None) -> Any:
        return self.lstm(x, state)


class Writes(nn.Module):
    """Writes into what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2).add_(1).clone()
