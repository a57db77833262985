"""Equal words fall together: in their row, or in the whole batch."""

from math import sqrt

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.errors import PatternError, ViewError
from dropsmith.patterns import WordDropout
from dropsmith.rng import Key, Source

SOURCES = [Source(Key.of(0).fold(view)) for view in range(2)]
IDS = torch.randint(0, 40, (24, 30), generator=torch.Generator().manual_seed(0))


def flips_by_type(ids, mask):
    """The set of mask values each word type got."""
    found = {}
    for word, value in zip(ids.flatten().tolist(), mask.flatten().tolist(), strict=True):
        found.setdefault(word, set()).add(value)
    return found


def test_the_mask_has_one_flip_for_each_token():
    mask = WordDropout(rate=0.5).mask(IDS, SOURCES[0])
    assert mask.shape == (24, 30, 1)
    assert mask.unique().tolist() == [0.0, 2.0]


def test_equal_words_in_one_row_share_a_flip():
    mask = WordDropout(rate=0.5).mask(IDS, SOURCES[0]).squeeze(-1)
    for ids, flips in zip(IDS, mask, strict=True):
        assert all(len(values) == 1 for values in flips_by_type(ids, flips).values())


def test_rows_flip_independently():
    same = torch.arange(50).expand(400, 50)
    dropped = (WordDropout(rate=0.3).mask(same, SOURCES[0]).squeeze(-1) == 0).double()
    # Each word over the rows is a binomial; were rows alike, every share would be 0 or 1.
    assert (dropped.mean(0) - 0.3).abs().max().item() < 5 * sqrt(0.3 * 0.7 / 400)
    # And two words over the rows are unrelated.
    off = torch.corrcoef(dropped.T) - torch.eye(50, dtype=torch.float64)
    assert off.abs().max().item() < 5 / sqrt(400)


def test_per_table_equal_words_share_a_flip_in_the_whole_batch():
    flips = flips_by_type(IDS, WordDropout(rate=0.5, per="table").mask(IDS, SOURCES[0]))
    assert all(len(values) == 1 for values in flips.values())
    assert {value for values in flips.values() for value in values} == {0.0, 2.0}


def test_per_table_the_mask_is_rows_of_one_masked_table():
    table = WordDropout(rate=0.5, per="table").mask(torch.arange(40), SOURCES[0])
    assert torch.equal(WordDropout(rate=0.5, per="table").mask(IDS, SOURCES[0]), table[IDS])


def test_a_flip_does_not_depend_on_where_the_word_stands():
    mask = WordDropout(rate=0.5).mask(IDS, SOURCES[0])
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    assert torch.equal(WordDropout(rate=0.5).mask(IDS[:, order], SOURCES[0]), mask[:, order])


@pytest.mark.parametrize("per", ["row", "table"])
def test_time_before_batch_draws_the_transposed_mask(per):
    words = WordDropout(rate=0.5, per=per)
    mask = words.mask(IDS.T.contiguous(), SOURCES[0], batch_dim=1)
    assert torch.equal(mask.transpose(0, 1), words.mask(IDS, SOURCES[0]))


@pytest.mark.parametrize("per", ["row", "table"])
@pytest.mark.parametrize("batch_dim", [0, 1])
def test_stacked_views_have_masks_of_their_own(per, batch_dim):
    words, dim = WordDropout(rate=0.5, per=per), batch_dim
    ids = IDS if dim == 0 else IDS.T
    x = torch.rand(*ids.shape, 6) + 1
    alone = [words.drop_rows(x, ids, [source], dim) for source in SOURCES]
    stacked = words.drop_rows(torch.cat([x, x], dim), torch.cat([ids, ids], dim), SOURCES, dim)
    assert torch.equal(stacked, torch.cat(alone, dim))
    assert not torch.equal(alone[0], alone[1])


def test_whole_embedding_rows_are_zero_or_scaled():
    x = torch.ones(24, 30, 6)
    rows = WordDropout(rate=0.5).drop_rows(x, IDS, SOURCES[:1])
    assert torch.equal(rows.amin(-1), rows.amax(-1))


def test_views_that_do_not_divide_the_rows_are_refused():
    with pytest.raises(ViewError, match="2 views do not divide a batch of 23 rows"):
        WordDropout(rate=0.5).drop_rows(torch.ones(23, 30, 6), IDS[:23], SOURCES)


def test_ids_of_any_integer_type_and_no_ids_at_all():
    words = WordDropout(rate=0.5)
    assert torch.equal(words.mask(IDS.int(), SOURCES[0]), words.mask(IDS, SOURCES[0]))
    empty = torch.empty(0, 5, dtype=torch.long)
    assert words.drop_rows(torch.empty(0, 5, 3), empty, SOURCES).shape == (0, 5, 3)


def test_without_ids_there_is_nothing_to_draw():
    with pytest.raises(PatternError, match=r"(?s)needs token ids.*mask\(ids\)"):
        WordDropout(rate=0.5).draw(Axes.read("batch time unit", (2, 3, 4)), SOURCES[0])


def test_what_a_flip_is_for_must_be_said_in_words_it_knows():
    with pytest.raises(PatternError, match="'row' or 'table', got 'token'"):
        WordDropout(rate=0.5, per="token")
