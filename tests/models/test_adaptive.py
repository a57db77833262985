import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.models.adaptive import AdaptiveEmbedding, AdaptiveHead

WORDS, WIDTH = 23, 8
BANDS = ((0, 5), (5, 12), (12, 23))


def pair():
    torch.manual_seed(0)
    embedding = AdaptiveEmbedding(words=WORDS, width=WIDTH, cutoffs=(5, 12), factor=2).double()
    return embedding, AdaptiveHead(embedding).double()


def vector(embedding, word):
    """One word's vector: its row of its band's table, times that band's projection."""
    band = next(i for i, (start, end) in enumerate(BANDS) if start <= word < end)
    row = embedding.tables[band][word - BANDS[band][0]]
    return embedding.projections[band] @ row


def test_every_word_has_the_vector_of_its_own_band():
    embedding, _ = pair()
    tokens = torch.arange(WORDS).view(1, WORDS)
    want = torch.stack([vector(embedding, word) for word in range(WORDS)])
    torch.testing.assert_close(embedding(tokens)[0], want)


@pytest.mark.parametrize("token", [-1, WORDS])
def test_a_number_that_is_no_words_is_refused(token):
    with pytest.raises(IndexError, match="out of range"):
        pair()[0](torch.tensor([[3, token]]))


def test_only_rows_of_words_that_were_read_have_a_gradient():
    embedding, _ = pair()
    embedding(torch.tensor([[1, 6, 6], [4, 22, 1]])).sum().backward()
    read = [table.grad.abs().sum(-1).nonzero().flatten().tolist() for table in embedding.tables]
    assert read == [[1, 4], [1], [10]]


def test_the_head_scores_words_by_the_vectors_that_are_read():
    """Within a band, log-probabilities differ as products with vectors; the first projects none."""
    embedding, head = pair()
    state = torch.randn(WIDTH, dtype=torch.float64)
    found = head(state)
    for band, (start, end) in enumerate(BANDS):
        scores = [
            embedding.tables[0][word] @ state if band == 0 else vector(embedding, word) @ state
            for word in range(start, end)
        ]
        torch.testing.assert_close(found[start:end] - found[start], torch.stack(scores) - scores[0])


def test_all_the_head_learns_of_its_own_is_a_vector_for_each_later_band():
    embedding, head = pair()
    shared = set(embedding.parameters())
    assert [tuple(p.shape) for p in head.parameters() if p not in shared] == [(2, WIDTH)]
    hidden = torch.randn(4, WIDTH, dtype=torch.float64)
    head(hidden)[:, 20].sum().backward()
    assert embedding.tables[2].grad.abs().sum() > 0
    assert embedding.projections[2].grad.abs().sum() > 0
    assert embedding.tables[1].grad.abs().sum() == 0


@pytest.mark.parametrize("cutoffs", [(0, 5), (5, 5), (9, 5), (5, 23)])
def test_cutoffs_that_make_no_bands_are_refused(cutoffs):
    with pytest.raises(TaskError, match="make no bands of 23 words"):
        AdaptiveEmbedding(words=WORDS, width=WIDTH, cutoffs=cutoffs)


@pytest.mark.parametrize(("cutoffs", "factor"), [((), 4), ((5, 12), 4), ((5,), 0)])
def test_bands_without_a_unit_and_no_bands_are_refused(cutoffs, factor):
    with pytest.raises(TaskError, match="do not serve a width of 8"):
        AdaptiveEmbedding(words=WORDS, width=WIDTH, cutoffs=cutoffs, factor=factor)
