"""The rating of a film review from pieces of its text: the regression of Gal & Ghahramani.

The scale data of Pang & Lee (2005): 5,006 reviews by four critics with ratings from 0 to 1. Unlike
in the code of the paper, reviews are split and not their pieces, so that no review is both trained
and tested on; a text that stands twice is one review; and words are numbered by training alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.models import REGRESSOR_NOISES, SmallRegressor, regressor_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.selection import PARTS, SEED, apply_limit, check_limit, stratify
from dropsmith.tasks.data.vocabulary import PAD, UNKNOWN_WORD, Vocabulary
from dropsmith.tasks.task import Data, Task
from dropsmith.tasks.text.label_checks import Place, value_of
from dropsmith.tasks.text.tables import read_table
from dropsmith.terms import Loss

PIECE, WORDS = 200, 20_000
"""Words in a piece of a review, the last of which is shorter, and in the vocabulary, at most."""

FILE = "scaledata.jsonl"
ABOUT = "film reviews with ratings from 0 to 1 (Pang & Lee, 2005), split by review"

_SHARES = (0.8, 0.1, 0.1)
_BANDS = 4

Review = tuple[str, float]
Pieces = tuple[list[list[str]], list[float]]


def read_sentiment_scale(
    data: Path | None, limit: int | None = None, bounds: Bounds = USUAL
) -> Data:
    """Pieces of 200 words, `tokens` padded with 0, and the standardised rating of their review.

    80 % of the reviews are training, 10 % validation and 10 % test, each part with the whole's mix
    of ratings, the same in every run. Ratings are standardised by mean and standard deviation of
    the training pieces; `unit` of a part is that deviation.

    Args:
        data: the file, its folder, or a folder that holds `sentiment_scale`.
        limit: how many training reviews; validation and test stay whole.
        bounds: the most that the file may hold.

    Raises:
        DataError: there is no such file, or it is not what it should be.
    """
    if data is None:
        raise DataError(f"the task sentiment-scale reads {FILE}\n  give its folder: --data DIR")
    check_limit(limit)
    return _read(_file(data.resolve()), limit, bounds)


def _file(data: Path) -> Path:
    inside = (folder / name for folder in (data, data / "sentiment_scale") for name in _NAMES)
    path = next((candidate for candidate in (data, *inside) if candidate.is_file()), None)
    if path is None:
        raise DataError(f"no reviews in {data}\n  looked for: {' or '.join(_NAMES)}")
    return path


_NAMES = (FILE, f"{FILE}.gz")


@cached_by_files(4)
def _read(path: Path, limit: int | None, bounds: Bounds) -> Data:
    reviews = _reviews(path, bounds)
    bands = [min(int(rating * _BANDS), _BANDS - 1) for _, rating in reviews]
    order = dict(zip(PARTS, stratify(bands, _SHARES), strict=True))
    rows = order["train"][torch.randperm(len(order["train"]), generator=_generator())]
    order["train"] = apply_limit(rows, limit)
    pieces = {part: _pieces([reviews[i] for i in order[part].tolist()]) for part in PARTS}
    vocabulary = Vocabulary.of(pieces["train"][0], special=(PAD, UNKNOWN_WORD), max_size=WORDS)
    if empty := [part for part in PARTS if not pieces[part][0]]:
        raise DataError(f"no words in the {empty[0]} reviews of {path}")
    ratings = torch.tensor(pieces["train"][1], dtype=torch.float64)
    mean, deviation = float(ratings.mean()), float(ratings.std(correction=0))
    if not deviation:
        raise DataError(f"all training reviews of {path} have one rating, {mean:g}")
    return Data.of(
        [_split(*pieces[part], vocabulary, mean, deviation) for part in PARTS],
        names=("rating",),
        source=f"{ABOUT}; standardised by {mean:.4f} ± {deviation:.4f}",
        vocabulary=vocabulary.words,
        full_size=len(rows),
    )


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def _reviews(path: Path, bounds: Bounds) -> list[Review]:
    """Each text once, with the rating that stands first."""
    reviews: dict[str, float] = {}
    options = DataOptions(bounds=bounds)
    for text, rating in read_table(path, ("text",), "rating", options=options, check=_rating):
        reviews.setdefault(text, float(rating))
    if len(reviews) < 10:
        raise DataError(f"{path} has {len(reviews)} reviews, too few for three parts")
    return list(reviews.items())


def _rating(label: str, place: Place) -> None:
    if not 0 <= value_of(label, place) <= 1:
        path, line = place
        raise DataError(f"the rating at line {line} of {path} is {label}, and not from 0 to 1")


def _pieces(reviews: Sequence[Review]) -> Pieces:
    """The words of every piece, and the rating of the review it is from."""
    words, ratings = [], []
    for text, rating in reviews:
        text_words = text.split()
        for start in range(0, len(text_words), PIECE):
            words.append(text_words[start : start + PIECE])
            ratings.append(rating)
    return words, ratings


def _split(
    words: list[list[str]],
    ratings: list[float],
    vocabulary: Vocabulary,
    mean: float,
    deviation: float,
) -> Split:
    tokens = torch.zeros(len(words), PIECE, dtype=torch.long)
    for row, piece in zip(tokens, words, strict=True):
        row[: len(piece)] = torch.tensor(vocabulary.ids(piece), dtype=torch.long)
    labels = (torch.tensor(ratings, dtype=torch.float64) - mean) / deviation
    columns = {"tokens": tokens, "labels": labels.float()}
    return Split(columns, padded_columns=("tokens",), unit=deviation)


@dataclass(frozen=True, kw_only=True)
class SentimentTask(Task):
    """A review's rating from a piece of it, judged by the root of the mean squared error.

    Args:
        name: what the task is called.
        cell: `lstm` or `gru`, of its model.
        budget: the budget that suits it.
    """

    name: str
    cell: str
    budget: Budget
    noises: tuple[str, ...] = REGRESSOR_NOISES
    kind: Literal["classification", "regression"] = "regression"

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return read_sentiment_scale(data, limit, self.data_options.bounds)

    def model(self, data: Data) -> nn.Module:
        return SmallRegressor(words=len(data.vocabulary), cell=self.cell)

    def plan(self, noise: str, rate: float) -> Plan:
        return regressor_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.regression(logits_of(output), batch["labels"])


_BUDGET = Budget(epochs=20, batch_size=128, learning_rate=1e-3, weight_decay=0.01)

SENTIMENT_SCALE = SentimentTask(name="sentiment-scale", cell="lstm", budget=_BUDGET)
SENTIMENT_SCALE_GRU = SentimentTask(name="sentiment-scale-gru", cell="gru", budget=_BUDGET)
