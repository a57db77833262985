from itertools import product

import pytest
import torch

from dropsmith.models.beam_search import beam_search

BEGIN, END, PAD, WORDS = 0, 1, 0, 5


def decoder(seed):
    """A decoder whose scores hang on all tokens so far, and a function with those of any text."""
    table = torch.randn(9, 9, WORDS, generator=torch.Generator().manual_seed(seed)) * 2

    def step(tokens, state):
        (before,) = state
        after = (before * 3 + tokens.unsqueeze(1) + 1) % 9
        return table[before.squeeze(1), after.squeeze(1)], (after,)

    return step


def log_probability(step, first, text):
    """Token by token, in float64."""
    state, token, total = (torch.tensor([[first]]),), torch.tensor([BEGIN]), 0.0
    for written in text:
        scores, state = step(token, state)
        total += float(scores[0].double().log_softmax(-1)[written])
        token = torch.tensor([written])
    return total


def every_text(longest):
    """All texts that end, and those that are cut, without the token that is never written."""
    for length in range(1, longest + 1):
        for words in product([2, 3, 4], repeat=length - 1):
            yield (*words, END)
    yield from product([2, 3, 4], repeat=longest)


@pytest.mark.parametrize("seed", range(5))
def test_with_enough_beams_it_finds_the_most_probable_of_all_texts(seed):
    step, longest, firsts = decoder(seed), 4, [0, 4, 7]
    found = beam_search(
        step,
        (torch.tensor(firsts).unsqueeze(1),),
        beams=3**longest,
        longest=longest,
        begin=BEGIN,
        end=END,
        pad=PAD,
        forbidden=(PAD,),
    )
    for first, row in zip(firsts, found.tolist(), strict=True):
        best = max(every_text(longest), key=lambda text: log_probability(step, first, text))
        assert tuple(row[: len(best)]) == best
        assert set(row[len(best) :]) <= {PAD}


def test_one_beam_takes_the_likeliest_token_at_each_step():
    step, state, token, greedy = decoder(1), (torch.tensor([[2]]),), torch.tensor([BEGIN]), []
    for _ in range(6):
        scores, state = step(token, state)
        scores[:, PAD] = -torch.inf
        token = scores.argmax(-1)
        greedy.append(int(token))
        if greedy[-1] == END:
            break
    found = beam_search(
        step,
        (torch.tensor([[2]]),),
        beams=1,
        longest=6,
        begin=BEGIN,
        end=END,
        pad=PAD,
        forbidden=(PAD,),
    )
    assert found[0].tolist() == greedy


def test_rows_are_searched_as_if_each_were_alone():
    step, firsts = decoder(3), torch.tensor([[0], [5], [8]])
    settings = {"beams": 2, "longest": 5, "forbidden": (PAD,)}
    settings |= {"begin": BEGIN, "end": END, "pad": PAD}
    together = beam_search(step, (firsts,), **settings)
    for first, row in zip(firsts, together.tolist(), strict=True):
        alone = beam_search(step, (first.unsqueeze(0),), **settings)[0].tolist()
        assert row[: len(alone)] == alone
        assert set(row[len(alone) :]) <= {PAD}
