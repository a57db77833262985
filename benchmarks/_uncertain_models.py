"""Four small problems, and models with dropout for them, that tell ways to be unsure apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.tasks import Part, Split, find_task


class Sentences(nn.Module):
    """Scores of a text from the largest responses of filters (Kim, 2014).

    Args:
        words: size of the vocabulary.
        classes: how many.
    """

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 48, padding_idx=0)
        self.filters = nn.Conv1d(48, 64, 3, padding=1)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores `[batch, classes]` of tokens `[batch, time]`."""
        return self.head(self.filters(self.words(tokens).movedim(1, 2)).relu().amax(2))


class Ratings(nn.Module):
    """One value for each text, from the mean of its words' vectors.

    Args:
        words: size of the vocabulary.
        classes: 1.
    """

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(words, 64, mode="mean", padding_idx=0)
        self.head = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, classes)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Values `[batch]` of tokens `[batch, time]`."""
        return self.head(self.words(tokens)).squeeze(-1)


class NextWords(nn.Module):
    """Scores of the next word at each place of a window.

    Args:
        words: size of the vocabulary.
        classes: the same.
    """

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 64)
        nn.init.normal_(self.words.weight, std=0.1)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.before, self.after = nn.Dropout(0.3), nn.Dropout(0.3)
        self.head = nn.Linear(64, classes)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores `[batch, time, words]` of tokens `[batch, time]`."""
        states, _ = self.lstm(self.before(self.words(tokens)))
        return self.head(self.after(states))


def pictures(words: int, classes: int) -> nn.Module:
    """Two convolutions and two layers on 16 x 16 pixels, with dropout before each layer."""
    return nn.Sequential(
        nn.AvgPool2d(2),
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(64, classes),
    )


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The data of a problem.

    Args:
        train, validation, test: rows.
        words: size of the vocabulary; 0 for pictures.
        classes: how many outputs a model has.
    """

    train: Split
    validation: Split
    test: Split
    words: int
    classes: int


def _first(part: Part, count: int | None) -> Split:
    """The first rows of a part; of a text the first of its windows, each by itself."""
    columns = part.rows(slice(count))
    return replace(part, columns=columns) if isinstance(part, Split) else Split(columns)


def input_of(batch: Mapping[str, Tensor]) -> Tensor:
    """The one column that a model takes."""
    (name,) = set(batch) - {"labels"}
    return batch[name]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A real task, and a small model for it.

    Args:
        name: of its rows.
        task, folder, limit: the data, as on the command line; the limit is of training examples,
            or of words for a language model.
        model: makes it, from the size of the vocabulary and the number of classes.
        vocabulary: the most frequent words that are told apart; None for pictures.
        epochs: of a whole training; a multiple of the members of an ensemble.
        batch: rows of a step.
        learning_rate: of Adam.
        rows: test examples at most.
        kind: what the model's outputs are.
    """

    name: str
    task: str
    folder: str
    limit: int | None
    model: Callable[[int, int], nn.Module]
    vocabulary: int | None
    epochs: int
    batch: int
    learning_rate: float
    rows: int
    kind: Literal["classification", "regression"] = "classification"

    def load(self, home: Path) -> Examples:
        """Its data."""
        data = find_task(self.task).load(home / self.folder, self.limit)
        parts = (
            _first(data.train, None),
            *(_first(p, self.rows) for p in (data.validation, data.test)),
        )
        train, validation, test = (self._with_few_words(part) for part in parts)
        words = self.vocabulary or 0
        classes = words if self.folder == "penn_treebank" else data.classes
        return Examples(train=train, validation=validation, test=test, words=words, classes=classes)

    def _with_few_words(self, part: Split) -> Split:
        """The rows with one number for all rare words; words are numbered by their frequency."""
        if self.vocabulary is None:
            return part
        of_words = {"tokens", "labels"} if self.folder == "penn_treebank" else {"tokens"}
        unknown = 0 if self.folder == "penn_treebank" else 1
        columns = {
            name: column.where(column < self.vocabulary, unknown) if name in of_words else column
            for name, column in part.columns.items()
        }
        return replace(part, columns=columns)

    def trained(self, data: Examples, seed: int, epochs: int) -> nn.Module:
        """A model after so many epochs."""
        torch.manual_seed(seed)
        model = self.model(data.words, data.classes).train()
        optimizer = torch.optim.Adam(model.parameters(), self.learning_rate)
        for _ in range(epochs):
            for rows in torch.randperm(len(data.train)).split(self.batch):
                batch = data.train.rows(rows)
                optimizer.zero_grad()
                self.loss(model(input_of(batch)), batch["labels"]).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
        return model.eval()

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch."""
        if self.kind == "regression":
            return F.mse_loss(outputs, labels)
        return F.cross_entropy(outputs.flatten(0, -2), labels.flatten())


PROBLEMS = (
    Problem(
        name="image: CIFAR-10", task="cifar10", folder="cifar10", limit=3000, model=pictures,
        vocabulary=None, epochs=8, batch=50, learning_rate=3e-3, rows=2000,
    ),
    Problem(
        name="text: SST-2", task="sst2", folder="nlu/sst2", limit=4000, model=Sentences,
        vocabulary=4000, epochs=8, batch=50, learning_rate=1.5e-3, rows=1821,
    ),
    Problem(
        name="regression: sentiment scale", task="sentiment-scale", folder="sentiment_scale",
        limit=2000, model=Ratings, vocabulary=4000, epochs=8, batch=64, learning_rate=2e-3,
        rows=1304, kind="regression",
    ),
    Problem(
        name="language model: Penn Treebank", task="penn-treebank", folder="penn_treebank",
        limit=20_000, model=NextWords, vocabulary=1500, epochs=8, batch=10, learning_rate=3e-3,
        rows=60,
    ),
)  # fmt: skip
SMOKE = tuple(
    replace(problem, epochs=4, limit=64 if problem.limit != 20_000 else 2000, rows=40)
    for problem in PROBLEMS[1:]
)
