import pytest
import torch

import dropsmith as ds
from dropsmith.models.resnet import RESNET_NOISES, ResNet, resnet_plan

pytest.importorskip("transformers")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ResNet(classes=4, widths=(16, 32), depths=(1, 1), stem=8).train()


def test_resnet_50_has_as_many_parameters_as_published():
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in ResNet(classes=1000).parameters())
    assert round(found / 1e6, 1) == 25.6
    assert found == 25_557_032


@pytest.mark.parametrize("noise", RESNET_NOISES)
def test_each_kind_of_noise_is_on_in_every_layer_of_every_block(net, noise):
    batch = {"image": torch.rand(16, 3, 64, 64)}
    assert torch.equal(net(**batch), net(**batch))
    with resnet_plan(noise, 0.3).installed(net, batch):
        found = ds.audit(net, batch)
    on = [row.site.name for row in found.rows if row.how == "keyed" and row.on]
    assert len(on) == 2 * 3
    assert found.outputs_differ
