import pytest
import torch
from torch import nn
from torch.nn.functional import kl_div

from dropsmith.kernels.adaptive_softmax import adaptive_log_softmax
from dropsmith.objectives.distances import symmetric_kl

WORDS, CUTOFFS, WIDTH, FACTOR = 23, (5, 12), 8, 2
SIZES = ((5, 8), (7, 4), (11, 2))


def weights(seed=0):
    """Tables, projections of the two rarer bands and their own vectors."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*sizes):
        made = torch.randn(sizes, generator=generator, dtype=torch.float64)
        return made.requires_grad_()

    tables = [drawn(*size) for size in SIZES]
    return tables, [drawn(size[1], WIDTH) for size in SIZES[1:]], drawn(2, WIDTH)


def hidden(seed, items=6):
    generator = torch.Generator().manual_seed(seed)
    made = torch.randn(items, WIDTH, generator=generator, dtype=torch.float64)
    return made.requires_grad_()


def log_p(state, tables, narrowing, clusters):
    states = [state, *(state @ one.t() for one in narrowing)]
    return adaptive_log_softmax(states, tables, clusters)


def by_torch(tables, narrowing, clusters):
    """torch's own adaptive softmax, which has no tied weights, with these values in it."""
    own = nn.AdaptiveLogSoftmaxWithLoss(WIDTH, WORDS, CUTOFFS, div_value=FACTOR).double()
    with torch.no_grad():
        own.head.weight.copy_(torch.cat([tables[0], clusters]))
        for band, (first, second) in enumerate(own.tail):
            first.weight.copy_(narrowing[band])
            second.weight.copy_(tables[band + 1])
    return own


def test_values_and_gradients_are_those_of_torchs_adaptive_softmax():
    given = weights()
    own, state = by_torch(*given), hidden(1)
    found, want = log_p(state, *given), own.log_prob(state)
    torch.testing.assert_close(found, want)
    mix = torch.randn(want.shape, generator=torch.Generator().manual_seed(2)).double()
    tables, narrowing, clusters = given
    found = torch.autograd.grad((found * mix).sum(), [state, *tables, *narrowing, clusters])
    theirs = [state, own.head.weight, *own.tail.parameters()]
    to_state, to_head, *to_tails = torch.autograd.grad((want * mix).sum(), theirs)
    want = [to_state, to_head[:5], *to_tails[1::2], *to_tails[::2], to_head[5:]]
    for one, other in zip(found, want, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_probabilities_of_all_words_sum_to_one_and_a_softmax_changes_nothing(scale):
    found = log_p(scale * hidden(1), *weights())
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(6).double())
    torch.testing.assert_close(found.log_softmax(-1), found)


def by_band(state, tables, narrowing, clusters):
    """The softmax over common words and bands, and that within each band."""
    common = torch.cat([state @ tables[0].t(), state @ clusters.t()], -1).softmax(-1)
    inside = [
        (state @ one.t() @ table.t()).softmax(-1)
        for one, table in zip(narrowing, tables[1:], strict=True)
    ]
    return common, inside


def dense(state, *given):
    """The probability of each word by itself, word after word."""
    (common, inside), first = by_band(state, *given), CUTOFFS[0]
    words = [common[:, word] for word in range(first)]
    for band, part in enumerate(inside):
        words += [common[:, first + band] * part[:, word] for word in range(part.shape[1])]
    return torch.stack(words, -1)


def both_ways(p, q):
    return (
        kl_div(q.log(), p, reduction="none").sum(-1) + kl_div(p.log(), q, reduction="none").sum(-1)
    ) / 2


def test_agreement_over_it_is_that_of_the_dense_distributions_with_its_gradients():
    given, one, other = weights(), hidden(1), hidden(2)
    found = symmetric_kl(log_p(one, *given), log_p(other, *given))
    want = both_ways(dense(one, *given), dense(other, *given))
    torch.testing.assert_close(found, want)
    tables, narrowing, clusters = given
    leaves = [one, other, *tables, *narrowing, clusters]
    pairs = zip(
        torch.autograd.grad(found.sum(), leaves),
        torch.autograd.grad(want.sum(), leaves),
        strict=True,
    )
    for mine, definition in pairs:
        torch.testing.assert_close(mine, definition)


def within_bands(one, other, words, given):
    """What R-Drop's released code adds up: common words always, a band where the word is in it."""
    (p, p_inside), (q, q_inside) = by_band(one, *given), by_band(other, *given)
    found = both_ways(p, q)
    for band, (mine, theirs) in enumerate(zip(p_inside, q_inside, strict=True)):
        start, end = ((*CUTOFFS, WORDS)[band + shift] for shift in (0, 1))
        lies = (words >= start) & (words < end)
        found = found + torch.where(lies, both_ways(mine, theirs), 0)
    return found


def test_the_released_comparison_within_bands_is_another_number():
    given, one, other = weights(), hidden(1), hidden(2)
    full = symmetric_kl(log_p(one, *given), log_p(other, *given))
    for word in (0, 7, 20):
        apart = within_bands(one, other, torch.full((6,), word), given)
        assert not torch.allclose(apart, full, rtol=1e-2)
    # Near each other both agree on average over the words that the model itself expects.
    other = (one + 1e-4 * other).detach()
    p = dense(one, *given)
    each = [within_bands(one, other, torch.full((6,), word), given) for word in range(WORDS)]
    mean = sum(p[:, word] * found for word, found in enumerate(each))
    full = symmetric_kl(log_p(one, *given), log_p(other, *given))
    torch.testing.assert_close(mean, full, rtol=1e-2, atol=0)
