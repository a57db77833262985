"""Beam search: the most probable texts of a decoder that reads one token at a time."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

State = tuple[Tensor, ...]
"""What a decoder carries from token to token; every tensor has its rows first."""

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""Takes tokens `[rows]` and the state before them, and returns the scores of the next token
`[rows, words]` and the state after them."""


def beam_search(
    step: Step,
    state: State,
    *,
    beams: int,
    longest: int,
    begin: int,
    end: int,
    pad: int,
    forbidden: Sequence[int] = (),
) -> Tensor:
    """The most probable of the texts that were followed, for each row: `[rows, time]`.

    A text is as probable as the product of its tokens' probabilities, its end among them; nothing
    is divided by its length (Vinyals et al., 2015, section 3.1). What follows the end is `pad`. A
    text without an end after `longest` tokens is cut there, and counts as it stands.

    >>> table = torch.tensor([[0.0, 5.0, 1.0], [0.0, 1.0, 5.0], [0.0, 0.0, 0.0]])
    >>> def step(tokens, state):
    ...     return table[tokens], state
    >>> beam_search(
    ...     step, (torch.zeros(1, 1),), beams=2, longest=4, begin=0, end=2, pad=0, forbidden=[0]
    ... ).tolist()
    [[1, 2]]

    Args:
        step: of the decoder.
        state: before the first token.
        beams: how many texts of each row are followed at a time.
        longest: most tokens of a text, its end among them.
        begin, end, pad: the tokens before a text, at its end and after it.
        forbidden: tokens that are never written.
    """
    rows, device = len(state[0]), state[0].device
    state = tuple(tensor.repeat_interleave(beams, 0) for tensor in state)
    tokens = torch.full((rows * beams,), begin, device=device)
    # At first all beams of a row are one text, of which one is followed.
    totals = torch.zeros(rows, beams, device=device)
    totals[:, 1:] = -torch.inf
    texts = torch.empty(rows, beams, 0, dtype=torch.long, device=device)
    ended = torch.zeros(rows, beams, dtype=torch.bool, device=device)
    never = torch.tensor(list(forbidden), dtype=torch.long, device=device)
    first = torch.arange(rows, device=device).unsqueeze(1) * beams
    for _ in range(longest):
        scores, state = step(tokens, state)
        log_p = scores.float().log_softmax(-1).index_fill(-1, never, -torch.inf)
        log_p = log_p.view(rows, beams, -1)
        words = log_p.shape[-1]
        after_end = torch.full((words,), -torch.inf, device=device)
        after_end[pad] = 0
        log_p = torch.where(ended.unsqueeze(-1), after_end, log_p)
        totals, places = (totals.unsqueeze(-1) + log_p).flatten(1).topk(beams)
        parents, written = places // words, places % words
        texts = texts.gather(1, parents.unsqueeze(-1).expand(-1, -1, texts.shape[-1]))
        texts = torch.cat([texts, written.unsqueeze(-1)], -1)
        ended = ended.gather(1, parents) | (written == end)
        # A further token makes no text more probable, so an ended first one stays the first.
        if bool(ended[:, 0].all()):
            break
        state = tuple(tensor[(first + parents).flatten()] for tensor in state)
        tokens = written.flatten()
    return texts[:, 0]
