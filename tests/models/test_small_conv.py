import pytest
import torch
import torch.nn.functional as F

from dropsmith.errors import TaskError
from dropsmith.models import SmallConv, conv_plan
from dropsmith.models.small_conv import CONV_NOISES
from dropsmith.patterns import Bernoulli


def model(size=8, widths=(3, 5), channels=2):
    torch.manual_seed(0)
    return SmallConv(channels=channels, size=size, classes=4, widths=widths, hidden=6)


def images(size=8, count=3):
    return torch.rand(count, 2, size, size, generator=torch.Generator().manual_seed(1))


def test_the_scores_are_those_of_the_layers_written_out_one_by_one():
    net, x = model(), images()
    first = F.max_pool2d(F.relu(net.convs[0](x)), 2)
    second = F.relu(net.convs[1](first))
    hidden = F.relu(net.hidden(second.reshape(3, 5 * 4 * 4)))
    torch.testing.assert_close(net(x), net.head(hidden))


@pytest.mark.parametrize("size", [4, 5, 8, 11, 28, 32])
def test_any_size_of_image_fits(size):
    assert model(size, widths=(3, 3, 3))(images(size)).shape == (3, 4)


def test_rows_do_not_meet_so_views_may_be_stacked():
    net, x = model(), images()
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


def test_it_has_no_noise_of_its_own():
    net, x = model().train(), images()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("noise", CONV_NOISES)
def test_every_kind_of_noise_changes_training_and_leaves_evaluation_alone(noise):
    net, x = model(), images()
    clean = net(x)
    with conv_plan(noise, 0.4).installed(net, x, seed=3):
        assert not torch.equal(net(x), clean)
        assert torch.equal(net.eval()(x), clean)


def test_spatial_noise_drops_whole_channels_of_every_convolution():
    net, x, seen = model(), images(), {}
    with conv_plan("spatial", 0.5).installed(net, x, seed=3):
        for index, conv in enumerate(net.convs):
            conv.register_forward_hook(lambda m, a, out, i=index: seen.update({i: out}))
        net(x)
    for index, conv in enumerate(net.convs):
        dropped = (seen[index] == 0).flatten(2)
        assert dropped.all(2).any(), f"no channel of {conv} fell"
        assert torch.equal(dropped.all(2), dropped.any(2))


def test_dropout_stands_before_both_fully_connected_layers():
    rules = conv_plan("dropout", 0.3).rules
    assert [(one.selector.name, one.pattern) for one in rules] == [
        ("hidden.input", Bernoulli(rate=0.3)),
        ("head.input", Bernoulli(rate=0.3)),
    ]


def test_an_unknown_noise_is_named_with_those_there_are():
    with pytest.raises(
        TaskError, match=r"no place for noise 'spacial'[\s\S]*blocks[\s\S]*'spatial'"
    ):
        conv_plan("spacial", 0.1)
