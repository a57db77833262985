"""A small captioning model: convolutions see a picture, and an LSTM tells what is in it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith.models.beam_search import State, beam_search
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.models.small_conv import SMALLEST
from dropsmith.models.small_lstm import layers_first, rows_first
from dropsmith.models.small_seq2seq import BEGIN, END, PAD
from dropsmith.patterns import Bernoulli, DropConnect, Gaussian, WordDropout
from dropsmith.plans import Plan, rule
from dropsmith.recurrent import LSTM

UNKNOWN = 3
"""The token of words that are not in the vocabulary; it is read, and never written."""


_MEAN, _DEVIATION = 0.5, 0.25
"""Of the pixels of a photograph, about; they are taken out before the first convolution."""


class ShowAndTell(DescribedModel):
    """Scores of the next word of a caption, given a picture and the words so far.

    The picture, as one vector, is the first input of the LSTM, and the words are the next ones
    (Vinyals et al., 2015, section 3.1). Unlike there, the scores read the vector, too, added to the
    output of the LSTM (Tanti et al., 2018, merge): where convolutions begin from nothing, an LSTM
    that sees them once learns to forget them. With `attention`, the output of the LSTM also looks
    at the places of the picture before a word is chosen (Luong et al., 2015, section 3.1, the
    global "general" score).

    Each of the last maps is normalised over the places of a picture (GroupNorm with one channel a
    group, Wu & He, 2018), so that what all pictures have in common does not outweigh what tells
    them apart. There is no BatchNorm: views of a batch may run stacked, and their rows must not
    meet.

    >>> net = ShowAndTell(words=20, size=8, widths=(4, 8), width=6)
    >>> net(torch.zeros(2, 3, 8, 8), torch.tensor([[1, 5, 6], [1, 7, 0]])).shape
    torch.Size([2, 3, 20])

    Args:
        words: size of the vocabulary; 0 pads, 1 begins a caption, 2 ends it, 3 is a rare word.
        channels: colours of a picture.
        size: its height and width in pixels, where they differ as two numbers.
        widths: channels of each 3 × 3 convolution.
        width: units of the vector of the picture, of a word and of the LSTM.
        attention: whether words also look at the places of the picture.
    """

    def __init__(
        self,
        *,
        words: int,
        channels: int = 3,
        size: int | Sequence[int] = 32,
        widths: Sequence[int] = (16, 32, 64),
        width: int = 128,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        high, wide = (size, size) if isinstance(size, int) else size
        for maps in widths:
            conv = nn.Conv2d(channels, maps, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            self.convs.append(conv)
            channels = maps
            if min(high, wide) > SMALLEST:
                high, wide = high // 2, wide // 2
        self.norm = nn.GroupNorm(channels, channels, affine=False)
        self.image = nn.Linear(channels * high * wide, width)
        nn.init.normal_(self.image.weight)
        self.embedding = nn.Embedding(words, width)
        self.lstm = LSTM(width, width, batch_first=True)
        with torch.no_grad():  # the cell keeps the picture at first (Jozefowicz et al., 2015)
            self.lstm.get_parameter("bias_ih_l0")[width : 2 * width] = 1
        self.places = nn.Linear(channels, width) if attention else None
        self.combine = nn.Linear(2 * width, width) if attention else None
        self.head = nn.Linear(width, words)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Scores `[batch, time, words]` of what follows each token of the target.

        Args:
            image: `[batch, channels, height, width]`, from 0 to 1.
            target: `[batch, time]`, which begins with `BEGIN` and is padded at its end.
        """
        maps = self._maps(image)
        vector = self._vector(maps)
        inputs = torch.cat([vector.unsqueeze(1), self.embedding(target)], 1)
        hidden, _ = self.lstm(inputs)
        return self.head(self._read(hidden[:, 1:], vector, maps))

    def start(self, image: Tensor) -> State:
        """The state after a picture and before the first token, for `step`; rows first."""
        maps = self._maps(image)
        vector = self._vector(maps)
        _, state = self.lstm(vector.unsqueeze(1))
        return (*map(rows_first, state), vector, maps)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores `[batch, words]` of what follows one token of each caption, and the state there.

        Args:
            tokens: `[batch]`.
            state: before these tokens, as `start` and this function return it.
        """
        hidden, cell, vector, maps = state
        before = layers_first(hidden), layers_first(cell)
        output, after = self.lstm(self.embedding(tokens.unsqueeze(1)), before)
        scores = self.head(self._read(output, vector, maps)).squeeze(1)
        return scores, (*map(rows_first, after), vector, maps)

    def write(self, image: Tensor, *, beams: int, longest: int) -> Tensor:
        """The caption that beam search finds for each picture, `[batch, time]` without `BEGIN`.

        Args:
            image: `[batch, channels, height, width]`.
            beams: how many captions are followed at a time.
            longest: most tokens of a caption.
        """
        with torch.no_grad():
            return beam_search(
                self.step,
                self.start(image),
                beams=beams,
                longest=longest,
                begin=BEGIN,
                end=END,
                pad=PAD,
                forbidden=(PAD, BEGIN, UNKNOWN),
            )

    def _maps(self, image: Tensor) -> Tensor:
        x = (image - _MEAN) / _DEVIATION
        for conv in self.convs:
            x = F.relu(conv(x))
            x = F.max_pool2d(x, 2) if min(x.shape[-2:]) > SMALLEST else x
        return self.norm(x)

    def _vector(self, maps: Tensor) -> Tensor:
        """The picture as one vector, of the size of a word."""
        values = maps.flatten(1)
        return self.image(values / values.shape[1] ** 0.5)

    def _read(self, hidden: Tensor, vector: Tensor, maps: Tensor) -> Tensor:
        """What the head reads: the LSTM's output with the picture, and what it attends to."""
        read = hidden + vector.unsqueeze(1)
        if self.places is None or self.combine is None:
            return read
        places = self.places(maps.flatten(2).transpose(1, 2))
        weights = (hidden @ places.transpose(1, 2)).softmax(-1)
        return torch.tanh(self.combine(torch.cat([weights @ places, read], -1)))


_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule("image", Bernoulli(rate=rate)),
        rule("embedding", Bernoulli(rate=rate)),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "locked": lambda rate: (
        rule("image", Bernoulli(rate=rate)),
        rule("embedding", Bernoulli(rate=rate, shared="time")),
        rule("head.input", Bernoulli(rate=rate, shared="time")),
    ),
    "gaussian": lambda rate: (
        rule("image", Gaussian(rate=rate)),
        rule("embedding", Gaussian(rate=rate)),
        rule("head.input", Gaussian(rate=rate)),
    ),
    "words": lambda rate: (rule("embedding", WordDropout(rate=rate)),),
    "spatial": lambda rate: (rule("convs.*", Bernoulli(rate=rate, shared="height width")),),
    "weights": lambda rate: (rule("lstm.weight_hh_l0", DropConnect(rate=rate)),),
}

CAPTION_NOISES = tuple(_PLACES)


def caption_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `ShowAndTell`.

    >>> caption_plan("words", 0.1).rules
    (rule('embedding', WordDropout(rate=0.1)),)

    Args:
        noise: `dropout`, `gaussian`, or `locked` (one mask for all words of a caption) on the
            vector of the picture, the words and the input of the scores, which are the input and
            the output of the LSTM; `words` (word types) on the words; `spatial` (whole channels)
            on the convolutions; `weights` on the recurrent matrix.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "ShowAndTell")
