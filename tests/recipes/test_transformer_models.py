"""The translators of the recipes have a position for each token of their data."""

import pytest
import torch

from dropsmith.tasks import MAX_TEXT_TOKENS, Data
from dropsmith.tasks.seq2seq.sequences import Sequences
from dropsmith_recipes.transformer_models import positions, small_translator

LONG = 300
PARTS = ("train", "validation", "test")


def data_with(length, *, part, side):
    """One pair a part; the text of one side of one part has so many tokens, all others five."""

    def pair(name):
        sizes = {"source": 5, "target": 5} | ({side: length} if name == part else {})
        return Sequences.of([[7] * sizes["source"]], [[7] * sizes["target"]], [("a",)])

    words = tuple(f"word {number}" for number in range(10))
    return Data.of([pair(name) for name in PARTS], names=words, source="made here")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_translator_reads_the_longest_text_of_its_data(part, side):
    data = data_with(LONG, part=part, side=side)
    assert positions(data) >= LONG
    model = small_translator(data).eval()
    with torch.no_grad():
        output = model(
            **{n: t for n, t in getattr(data, part).rows(slice(None)).items() if n != "labels"}
        )
    assert output.isfinite().all()


@pytest.mark.parametrize("length", [5, MAX_TEXT_TOKENS - 2])
def test_texts_of_the_usual_length_leave_the_size_of_the_model_alone(length):
    assert positions(data_with(length, part="train", side="target")) == MAX_TEXT_TOKENS
