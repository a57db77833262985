"""The upper half of a model begins at the middle layer of its longest stack."""

import pytest
from torch import nn

from dropsmith.models import SmallTransformer
from dropsmith.models.pretrained import upper_half
from dropsmith.models.small_gpt import SmallGPT
from dropsmith.models.small_seq2seq import SmallSeq2Seq
from dropsmith.models.small_vit import SmallViT
from dropsmith.tasks import TASKS

MODELS = {
    "sst2": lambda: SmallTransformer(words=9, classes=2, length=4),
    "wikitext2-transformer": lambda: SmallGPT(words=9, window=4),
    "cifar10-vit": lambda: SmallViT(channels=3, size=32, classes=2),
    "multi30k": lambda: SmallSeq2Seq(words=9, longest=8),
}


@pytest.mark.parametrize("task", MODELS)
def test_it_is_where_each_task_says_that_its_models_does(task):
    assert upper_half(MODELS[task]()) == TASKS[task].upper


def test_of_two_stacks_the_longer_counts_and_of_equal_ones_the_last():
    def made(encoder, decoder):
        return nn.Transformer(8, 2, encoder, decoder, 16, batch_first=True)

    assert upper_half(made(4, 2)) == "encoder.layers.2"
    assert upper_half(made(3, 3)) == "decoder.layers.1"


def test_a_list_of_different_modules_is_no_stack():
    assert upper_half(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))) is None
    assert upper_half(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))) == "1"
    assert upper_half(nn.Linear(2, 2)) is None
