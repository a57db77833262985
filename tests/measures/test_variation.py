"""The variation ratio against votes that are counted one by one."""

from collections import Counter

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import ViewError
from dropsmith.measures import variation_ratio


def net(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, outputs))


def test_it_is_the_share_of_votes_against_the_commonest_class():
    prediction = ds.predict(net(), torch.randn(7, 4), samples=25, keep=True)
    got = variation_ratio(prediction)
    votes = [[int(row.argmax()) for row in sample] for sample in prediction.draws]
    want = [
        1 - Counter(sample[item] for sample in votes).most_common(1)[0][1] / 25 for item in range(7)
    ]
    assert got.tolist() == pytest.approx(want)
    assert max(want) > 0


def test_classes_may_be_on_another_axis():
    class Image(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(2, 4, 1), nn.Dropout2d(0.5), nn.Conv2d(4, 3, 1))

        def forward(self, x):
            return self.net(x)

    torch.manual_seed(1)
    prediction = ds.predict(Image(), torch.randn(2, 2, 5, 4), samples=9, keep=True, class_axis=1)
    got = variation_ratio(prediction)
    assert got.shape == (2, 5, 4)
    votes = [int(sample[1, :, 2, 3].argmax()) for sample in prediction.draws]
    assert got[1, 2, 3].item() == pytest.approx(1 - Counter(votes).most_common(1)[0][1] / 9)


def test_each_label_of_several_has_a_vote_of_its_own():
    prediction = ds.predict(net(), torch.randn(5, 4), samples=11, keep=True, kind="multi_label")
    yes = [sum(bool(s[2, 1] > 0.5) for s in prediction.draws) / 11]
    assert variation_ratio(prediction)[2, 1].item() == pytest.approx(min(yes[0], 1 - yes[0]))


def test_without_samples_or_classes_it_is_refused():
    x = torch.randn(5, 4)
    with pytest.raises(ViewError, match=r"keep them: predict\(\.\.\., keep=True\)"):
        variation_ratio(ds.predict(net(), x, samples=5))
    with pytest.raises(ViewError, match="values have no variation ratio"):
        variation_ratio(ds.predict(net(1), x, samples=5, keep=True, kind="regression"))


def test_quantiles_have_no_variation_ratio():
    found = ds.predict(
        net(2), torch.ones(2, 4), 4, kind="quantile", quantiles=(0.1, 0.9), keep=True
    )
    with pytest.raises(ViewError, match="values have no"):
        variation_ratio(found)
