import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import NoiseError
from dropsmith.prediction.moments import Moments


def draws(samples=6, classes=3, scale=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(samples, 2, 4, classes, generator=generator, dtype=torch.float64)


def summed(logits, kind, keep=False):
    moments = Moments(kind, keep)
    for one in logits:
        moments.add(one)
    return moments.prediction()


def entropy_by_hand(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def softmax_by_hand(scores):
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def test_classes_match_the_definitions_written_out_as_loops():
    logits = draws()
    got = summed(logits, "classification")
    for row in range(2):
        for time in range(4):
            each = [softmax_by_hand(one[row, time].tolist()) for one in logits]
            mean = [sum(column) / 6 for column in zip(*each, strict=True)]
            whole = entropy_by_hand(mean)
            own = sum(map(entropy_by_hand, each)) / 6
            # Mutual information, the other way round: how far each sample is from the mean.
            apart = sum(p * math.log(p / q) for one in each for p, q in zip(one, mean, strict=True))
            spread = [sum((one[c] - mean[c]) ** 2 for one in each) / 5 for c in range(len(mean))]
            at = (row, time)
            assert got.mean[at].tolist() == pytest.approx(mean)
            assert got.variance[at].tolist() == pytest.approx(spread)
            assert got.entropy[at].item() == pytest.approx(whole)
            assert got.expected_entropy[at].item() == pytest.approx(own)
            assert got.mutual_information[at].item() == pytest.approx(apart / 6)


def test_labels_are_a_coin_each():
    logits = draws()
    got = summed(logits, "labels")
    for at in [(0, 0, 0), (1, 3, 2)]:
        each = [1 / (1 + math.exp(-one[at].item())) for one in logits]
        mean = sum(each) / 6
        own = sum(entropy_by_hand([p, 1 - p]) for p in each) / 6
        whole = entropy_by_hand([mean, 1 - mean])
        assert got.mean[at].item() == pytest.approx(mean)
        assert got.entropy[at].item() == pytest.approx(whole)
        assert got.mutual_information[at].item() == pytest.approx(whole - own)


def test_values_have_a_variance_and_no_entropy():
    logits = draws()
    got = summed(logits, "regression")
    torch.testing.assert_close(got.mean, logits.mean(0))
    torch.testing.assert_close(got.variance, logits.var(0))
    assert got.entropy is got.expected_entropy is got.mutual_information is None


@given(
    st.integers(0, 10_000), st.floats(1e-3, 1e4), st.sampled_from(["classification", "multi_label"])
)
def test_mutual_information_is_never_negative_nor_above_the_entropy(seed, scale, kind):
    got = summed(draws(scale=scale, seed=seed).float(), kind)
    assert (got.mutual_information >= 0).all()
    assert (got.mutual_information <= got.entropy + 1e-6).all()
    assert torch.isfinite(got.entropy).all()


def test_a_class_that_is_ruled_out_adds_nothing():
    logits = draws()
    logits[..., 1] = -math.inf
    got, without = summed(logits, "classification"), summed(logits[..., [0, 2]], "classification")
    torch.testing.assert_close(got.entropy, without.entropy)
    torch.testing.assert_close(got.mutual_information, without.mutual_information)


def test_samples_are_kept_only_on_request_and_sums_do_not_grow_with_them():
    assert summed(draws(), "classification").draws is None
    kept = summed(draws(), "classification", keep=True).draws
    torch.testing.assert_close(kept, draws().softmax(-1))
    moments, sizes = Moments("classification"), set()
    for one in draws(50):
        moments.add(one)
        held = [value for value in vars(moments).values() if isinstance(value, torch.Tensor)]
        sizes.add(sum(value.nbytes for value in held))
    assert len(sizes) == 1


def test_many_samples_in_half_precision_lose_nothing_to_it():
    logits = draws(3000).to(torch.float16)
    got = summed(logits, "regression")
    assert got.mean.dtype == torch.float32
    torch.testing.assert_close(got.mean.double(), logits.double().mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(got.variance.double(), logits.double().var(0), rtol=1e-4, atol=0)


def test_equal_samples_are_told_from_those_whose_probabilities_only_round_alike():
    equal, apart = Moments("classification"), Moments("classification")
    for _ in range(3):
        equal.add(torch.tensor([[900.0, 0.0]]))
    for score in (900.0, 901.0):
        apart.add(torch.tensor([[score, 0.0]]))
    assert not equal.differ
    assert apart.differ


def test_a_misspelt_kind_is_named_with_its_likely_correction():
    with pytest.raises(NoiseError, match=r"'regresion'[\s\S]*did you mean 'regression'"):
        Moments("regresion")  # pyright: ignore[reportArgumentType]
