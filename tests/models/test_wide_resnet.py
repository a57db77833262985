import pytest
import torch
import torch.nn.functional as F

import dropsmith as ds
from dropsmith.errors import TaskError
from dropsmith.models.wide_resnet import WIDE_NOISES, WideResNet, wide_plan


def model(**change):
    torch.manual_seed(0)
    return WideResNet(**{"depth": 10, "width": 2, "classes": 4, "stride": 2} | change)


def images(count=3):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def parameters(**settings):
    with torch.device("meta"):
        net = WideResNet(classes=10, **settings)
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("depth", "width", "millions", "exact"),
    [
        (28, 10, 36.5, 36_479_194),
        (28, 2, 1.5, 1_467_610),
        (40, 4, 8.9, None),
        (40, 2, 2.2, None),
        (22, 8, 17.2, None),
        (16, 8, 11.0, None),
        (28, 12, 52.5, None),
    ],
)
def test_it_has_as_many_parameters_as_published(depth, width, millions, exact):
    found = parameters(depth=depth, width=width)
    assert round(found / 1e6, 1) == millions
    assert exact in (None, found)


@pytest.mark.parametrize("depth", [10, 16, 28])
def test_its_depth_is_the_number_of_its_convolutions(depth):
    with torch.device("meta"):
        net = WideResNet(depth=depth, width=2, classes=10)
    assert sum(isinstance(one, torch.nn.Conv2d) for one in net.modules()) == depth


def written_out(net, x):
    """The network as the authors' code writes it: functions of a table of weights."""
    p = net.state_dict()

    def norm(name, x):
        statistics = (p[f"{name}.running_mean"], p[f"{name}.running_var"])
        weights = (p[f"{name}.weight"], p[f"{name}.bias"])
        return F.relu(F.batch_norm(x, *statistics, *weights, training=False))

    x = F.conv2d(x, p["stem.weight"], stride=net.stem.stride, padding=1)
    for stage in range(3):
        for block in range(len(net.stages[stage])):
            at = f"stages.{stage}.{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            active = norm(f"{at}.norm1", x)
            inner = F.conv2d(active, p[f"{at}.conv1.weight"], stride=stride, padding=1)
            branch = F.conv2d(norm(f"{at}.norm2", inner), p[f"{at}.conv2.weight"], padding=1)
            if f"{at}.shortcut.weight" in p:
                x = branch + F.conv2d(active, p[f"{at}.shortcut.weight"], stride=stride)
            else:
                x = branch + x
    x = F.avg_pool2d(norm("norm", x), x.shape[-1]).flatten(1)
    return x @ p["head.weight"].T + p["head.bias"]


@pytest.mark.parametrize("change", [{}, {"width": 1}, {"depth": 16, "stride": 1}])
def test_the_scores_are_those_of_its_layers_written_out(change):
    net, x = model(**change).double(), images().double()
    net(x)
    torch.testing.assert_close(net.eval()(x), written_out(net, x))


def test_only_blocks_that_change_the_shape_project_their_shortcut():
    with torch.device("meta"):
        narrow, wide = (WideResNet(depth=16, width=k, classes=10) for k in (1, 2))
    for net, projecting in ((narrow, [1, 2]), (wide, [0, 1, 2])):
        found = [name for name in net.state_dict() if "shortcut" in name]
        assert found == [f"stages.{stage}.0.shortcut.weight" for stage in projecting]


@pytest.mark.parametrize("width", [1, 2])
def test_both_sides_of_every_sum_are_sites_of_one_shape_with_known_axes(width):
    net = model(depth=16, width=width)
    found = {site.name: site for site in ds.sites(net, {"image": images()}) if site.sizes}
    for stage in range(3):
        for block in range(2):
            at = f"stages.{stage}.{block}"
            branch, shortcut = found[f"{at}.norm2"], found[f"{at}.shortcut"]
            assert branch.sizes == shortcut.sizes == found[f"{at}.conv2"].sizes
            assert branch.axes == shortcut.axes == ("batch", "channel", "height", "width")


def test_a_mask_on_the_normalised_map_never_touches_the_shortcut():
    net, x, seen = model(depth=16, width=1).eval(), images(), []
    block = net.stages[0][1]
    block.norm2.register_forward_hook(lambda module, args, out: 0 * out)
    block.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    block.register_forward_hook(lambda module, args, out: seen.append(out))
    net(x)
    torch.testing.assert_close(seen[1], seen[0])


def test_it_has_no_noise_of_its_own():
    net, x = model().train(), images()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("noise", WIDE_NOISES)
def test_every_kind_of_noise_is_on_in_every_block(noise):
    net, batch = model(), {"image": images(16)}
    with wide_plan(noise, 0.3).installed(net, batch):
        found = ds.audit(net, batch)
    on = [row.site.name for row in found.rows if row.how == "keyed" and row.on]
    inside = "conv2" if noise == "path" else "norm2"
    assert on == [f"stages.{stage}.0.{inside}" for stage in range(3)]
    assert found.outputs_differ


def test_a_mask_before_the_relu_is_the_same_mask_after_it():
    net, x, seen = model(), images(), {}
    block = net.stages[0][0]
    block.norm2.register_forward_hook(lambda m, args, out: seen.update(clean=out))
    block.conv2.register_forward_pre_hook(lambda m, args: seen.update(entering=args[0]))
    with wide_plan("dropout", 0.4).installed(net, {"image": x}, seed=5):
        block.norm2.register_forward_hook(lambda m, args, out: seen.update(masked=out))
        net(x)
    kept = (seen["masked"] != 0).double()
    assert 0.5 < kept.mean() < 0.7
    torch.testing.assert_close(
        seen["entering"].double(), kept * seen["clean"].double().relu() / 0.6, rtol=1e-5, atol=1e-6
    )


def test_the_layout_in_memory_changes_no_score():
    net, x = model().eval(), images()
    channels_last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(net(x), net(channels_last))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"depth": 27}, r"27 deep[\s\S]*6n \+ 4[\s\S]*nearest: 28"),
        ({"depth": 4}, r"4 deep[\s\S]*nearest: 10"),
        ({"width": 0}, "width=0"),
        ({"stride": 0}, "stride=0"),
    ],
)
def test_a_size_there_is_not_is_an_error_with_those_there_are(settings, said):
    with pytest.raises(TaskError, match=said):
        model(**settings)
