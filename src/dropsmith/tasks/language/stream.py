"""A part of the data that is one long text, read in windows that follow each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

import torch
from torch import Tensor

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks.data.part import Batch, Part
from dropsmith.tasks.language.windows import Window, course

IGNORE_INDEX = -100
"""The label of a place that is not counted."""


@dataclass(frozen=True)
class Stream(Part):
    """One long text, in which every token but the first is predicted from those before it.

    For a batch of B rows it is cut into B contiguous texts of about equal length, which are read
    side by side, window after window; each begins with the last token of the one before, so that
    every transition is predicted, once an epoch. An example is one predicted token. Where texts
    differ by a token, the shorter ones end in a place whose label is not counted.

    >>> text = Stream(torch.arange(8), window=2)
    >>> batch = text.batch(1, seed=0, batch_size=2)
    >>> batch.columns["tokens"].tolist(), batch.columns["labels"].tolist(), batch.continues
    ([[0, 1], [4, 5]], [[1, 2], [5, 6]], False)
    >>> [text.batch(step, seed=0, batch_size=2).continues for step in (2, 3)]
    [True, False]

    Args:
        tokens: word numbers, `[time]`.
        window: how many tokens of each text a step sees; the last of an epoch is what is left.
        varying: whether training draws the windows' lengths, as AWD-LSTM does: about normal
            around `window`, or around half of it in one of twenty; from the seed and the epoch.
        streams: into how many texts evaluation cuts it.
        limited_context: whether its reader looks back no further than its window or a memory, so
            that the window's length changes what is scored: see `scored_in_windows`.
        input: what the model's forward calls the tokens.
    """

    tokens: Tensor
    window: int = 35
    varying: bool = False
    streams: int = 1
    limited_context: bool = False
    input: str = "tokens"

    def __post_init__(self) -> None:
        if len(self.tokens) < 2 or self.window < 1 or self.streams < 1:
            raise DataError(
                "a stream has at least two tokens, a window and a row, got "
                f"{len(self.tokens)} tokens, window={self.window} and streams={self.streams}"
            )

    def tensors(self) -> Mapping[str, Tensor]:
        return {self.input: self.tokens}

    def __len__(self) -> int:
        return len(self.tokens) - 1

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        """Windows of the usual length, each by itself."""
        window = min(self.window, len(self))
        windows = self.tokens.unfold(0, window + 1, window)[index]
        return {self.input: windows[:, :-1], "labels": windows[:, 1:]}

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        """The next window; the first of an epoch starts from nothing.

        Its `pace` is its length over the usual one: the loss is a mean over fewer or more tokens.
        """
        rows = min(batch_size, len(self))
        return self._cut(rows, self._window(step, seed, rows))

    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        rows = min(batch_size, len(self))
        start, end = self._window(step, seed, rows)
        length, longer = divmod(len(self), rows)
        leading_rows = ceil(rows * share)
        return leading_rows * (min(end, length) - start) + (
            min(leading_rows, longer) if end > length else 0
        )

    def batches(self, rows: int) -> Iterator[Batch]:
        """The whole text in `streams` rows, windows of the usual length; `rows` plays no part."""
        streams = min(self.streams, len(self))
        for window in course(ceil(len(self) / streams), self.window, None).epoch(0):
            yield self._cut(streams, window)

    def rename_input(self, name: str) -> "Stream":
        return replace(self, input=name)

    def _window(self, step: int, seed: int, rows: int) -> Window:
        width = ceil(len(self) / rows)
        return course(width, self.window, seed if self.varying else None).at(step)

    def _cut(self, rows: int, window: Window) -> Batch:
        """One window of each of `rows` texts, of which the first few may be longer by a token."""
        short, longer = divmod(len(self), rows)
        row, place = torch.arange(rows).unsqueeze(1), torch.arange(*window)
        inside = place < short + (row < longer).long()
        index = torch.where(inside, row * short + row.clamp(max=longer) + place, 0)
        labels = torch.where(inside, self.tokens[index + 1], IGNORE_INDEX)
        columns = {self.input: self.tokens[index], "labels": labels}
        length = window[1] - window[0]
        return Batch(columns=columns, continues=window[0] > 0, pace=length / self.window)


def in_windows(part: Part, window: int | None, varying: bool) -> Part:
    """A stream read in windows of another length, or of lengths that vary.

    >>> in_windows(Stream(torch.arange(99)), 70, varying=True).window
    70

    Args:
        part: what is trained on.
        window: the length; None for the stream's own.
        varying: whether lengths are drawn around it.

    Raises:
        TaskError: windows are asked for of examples that are none.
    """
    if window is None and not varying:
        return part
    if not isinstance(part, Stream):
        raise TaskError(
            f"window={window} and varying={varying}, but these examples are no text read "
            "from end to end\n  leave both out of the budget, or train on penn-treebank"
        )
    return replace(part, window=window or part.window, varying=varying)


def scored_in_windows(part: Part, window: int | None) -> Part:
    """A part to score, in windows of the length that training uses where that changes a score.

    A recurrent model's state reaches over windows of any length, and its text stays as it is.

    >>> text = Stream(torch.arange(99), window=35)
    >>> scored_in_windows(text, 70).window
    35
    >>> scored_in_windows(replace(text, limited_context=True), 70).window
    70

    Args:
        part: what validation or test scores.
        window: the length; None for the stream's own.
    """
    if isinstance(part, Stream) and part.limited_context:
        return in_windows(part, window, varying=False)
    return part
