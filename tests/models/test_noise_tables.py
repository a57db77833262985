import pytest
import torch
from torch import nn

from dropsmith.errors import TaskError
from dropsmith.models import AnyModel

IMAGES = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def conv():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.drop, self.head = nn.Embedding(9, 4), nn.Dropout(0.2), nn.Linear(4, 2)

    def forward(self, words):
        return self.head(self.drop(self.table(words)).mean(1))


@pytest.mark.parametrize(("net", "batch"), [(conv(), IMAGES), (Text(), torch.ones(2, 5).long())])
def test_every_noise_it_offers_can_be_installed_and_is_felt(net, batch):
    places = AnyModel.of(net)
    clean = net.eval()(batch)
    for noise in places.noises:
        with places.plan(noise, 0.5).installed(net, batch, seed=1):
            assert not torch.equal(net.train()(batch), clean), noise


def test_what_a_model_offers_follows_from_its_modules():
    assert AnyModel.of(conv()).noises == ("dropout", "gaussian", "spatial", "blocks")
    assert AnyModel.of(Text()).noises == ("dropout", "gaussian", "locked", "words")


def test_dropout_takes_the_place_of_the_models_own():
    net, words = Text(), torch.ones(2, 5).long()
    with AnyModel.of(net).plan("dropout", 0.9).installed(net, words, seed=1):
        kept = []
        net.drop.register_forward_hook(lambda m, a, out: kept.append(out / a[0]))
        net(words)
    assert kept[0].unique().tolist() == pytest.approx([0, 10])


def test_a_model_without_a_place_for_a_noise_says_what_it_takes():
    with pytest.raises(TaskError, match=r"Linear has no place for noise 'words'[\s\S]*dropout"):
        AnyModel.of(nn.Linear(2, 2)).plan("words", 0.1)
