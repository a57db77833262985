import torch

from dropsmith.cli.sites import _sizes
from dropsmith.models import SmallLSTM
from dropsmith.noise.find_sites import sites


def test_places_inside_a_recurrent_layer_are_told_by_their_axes():
    found = sites(SmallLSTM(words=9, width=4), torch.zeros(2, 3, dtype=torch.long))
    told = {site.name: _sizes(site) for site in found}
    assert told["lstm.recurrent_l0"] == "batch gate time unit"
    assert told["lstm.input"] == "batch=2 time=3 unit=4"
