import pytest
import torch

import dropsmith as ds
from dropsmith.models.small_vit import VIT_NOISES, SmallViT, vit_plan

pytest.importorskip("transformers")


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SmallViT(channels=3, size=8, classes=4, width=16, heads=2, layers=2).train()


def test_scores_do_not_hang_on_the_other_images_of_a_batch(net):
    images = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]))


def test_it_sees_where_a_patch_stands(net):
    # All positions begin alike and are learnt: after a step they differ.
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    net(torch.rand(4, 3, 8, 8)).square().sum().backward()
    optimizer.step()
    image = torch.rand(1, 3, 8, 8)
    assert not torch.allclose(net(image), net(image.roll(4, dims=-1)), atol=1e-6)


@pytest.mark.parametrize("noise", VIT_NOISES)
def test_each_kind_of_noise_is_on_where_it_says(net, noise):
    batch = {"image": torch.rand(32, 3, 8, 8)}
    assert torch.equal(net(**batch), net(**batch))
    with vit_plan(noise, 0.3).installed(net, batch):
        found = ds.audit(net, batch)
    on = [row.site.name for row in found.rows if row.how == "keyed" and row.on]
    assert len(on) == (4 if noise == "path" else 5)
    assert found.outputs_differ
