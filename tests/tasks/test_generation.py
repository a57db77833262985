"""The libraries' scores: that they are fed rightly, on cases worked out by hand."""

import math
import sys

import pytest

from dropsmith.errors import MissingExtra
from dropsmith.tasks.generation import bleu, caption_bleu, rouge


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
    ("score", "module"),
    [
        (bleu, "sacrebleu.metrics.bleu"),
        (caption_bleu, "sacrebleu.metrics.bleu"),
        (rouge, "rouge_score.rouge_scorer"),
    ],
)
def test_without_the_library_the_error_names_what_to_install(monkeypatch, score, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"dropsmith\[generation\]"):
        score(["a"], [("a",)])


def bleu_by_hand(texts, references, order):
    """Papineni et al. (2002), sections 2.1 to 2.3, over all texts together."""
    kept, total = [0] * order, [0] * order
    length = closest = 0
    for text, of_text in zip(texts, references, strict=True):
        words, others = text.split(), [one.split() for one in of_text]
        length += len(words)
        closest += min((abs(len(o) - len(words)), len(o)) for o in others)[1]
        for n in range(1, order + 1):
            grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
            for gram in set(grams):
                most = max(
                    sum(tuple(o[i : i + n]) == gram for i in range(len(o) - n + 1)) for o in others
                )
                kept[n - 1] += min(grams.count(gram), most)
            total[n - 1] += len(grams)
    if 0 in kept:
        return 0.0
    mean = math.prod(k / t for k, t in zip(kept, total, strict=True)) ** (1 / order)
    return 100 * mean * min(1.0, math.exp(1 - closest / length))


def test_bleu_of_captions_is_that_of_the_definition_for_any_number_of_references():
    texts = ["a dog runs on the grass", "two men", "the the the child"]
    references = [
        ("a dog runs in the grass", "the dog runs on green grass now"),
        ("two men sit on a bench",),
        ("the child plays", "a child is on the swing", "child"),
    ]
    scores = caption_bleu(texts, references).scores
    for order in range(1, 5):
        assert scores[f"bleu{order}"] == pytest.approx(bleu_by_hand(texts, references, order))
    assert scores["bleu2"] > 0
    assert caption_bleu(["a b c d"], [("a b c e",)]).scores["bleu4"] == 0
