"""The libraries' scores: that they are fed rightly, on cases worked out by hand."""

import math
import sys

import pytest

from dropsmith.errors import MissingExtra
from dropsmith.tasks.generation import bleu, rouge


def test_bleu_is_the_geometric_mean_of_matches_times_the_penalty_for_being_short():
    # 5 of 5 words, 3 of 4 pairs, 2 of 3 triples and 1 of 2 fours match; 5 words for 6.
    found = bleu(["the cat sat on mat"], [("the cat sat on the mat",)])
    matches = (5 / 5) * (3 / 4) * (2 / 3) * (1 / 2)
    assert found.scores["bleu"] == pytest.approx(100 * matches**0.25 * math.exp(1 - 6 / 5))


def test_bleu_is_of_all_texts_together_and_signed():
    texts = ["a b c d e", "x y"]
    found = bleu(texts, [("a b c d e",), ("z y",)])
    # 6 of 7 words match, 4 of 5 pairs, and all triples and fours; as many words as there should be.
    assert found.scores["bleu"] == pytest.approx(100 * (6 / 7 * 4 / 5) ** 0.25)
    assert "version" in found.signatures["BLEU"]
    assert found.texts == tuple(texts)


def test_rouge_takes_the_best_reference_of_each_text_and_the_mean_over_texts():
    found = rouge(["the cat", "a dog"], [("one bird", "the cat sat"), ("a dog",)]).scores
    # Of "the cat sat": 2 of 3 words and 2 of 2, so F = 0.8; one pair of two and of one: 2/3.
    assert found["rouge1"] == pytest.approx((0.8 + 1) / 2)
    assert found["rouge2"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["rougel"] == pytest.approx((0.8 + 1) / 2)


@pytest.mark.parametrize(
    ("score", "module"), [(bleu, "sacrebleu.metrics.bleu"), (rouge, "rouge_score.rouge_scorer")]
)
def test_without_the_library_the_error_names_what_to_install(monkeypatch, score, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"dropsmith\[generation\]"):
        score(["a"], [("a",)])
