"""Layer drop is known wherever its rate is kept, and can be off for a while."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dropsmith.noise.find_sites import sites
from dropsmith.noise.skipping import (
    layer_drop_disabled,
    layer_drop_rate,
    may_be_skipped,
    skipped_layers,
)
from noise.skippers import REAL, STACKS, X, stacked_in


def layers_that_run(model, batch, passes=4):
    """The names of numbered modules that ran, by hooks."""
    names = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: names.append(name))
        for name, module in model.named_modules()
        if name.rsplit(".", 1)[-1].isdigit() and "layers" in name
    ]
    for _ in range(passes):
        model(**batch) if isinstance(batch, dict) else model(batch)
    for handle in handles:
        handle.remove()
    return set(names)


@pytest.mark.parametrize("kind", STACKS)
def test_the_rate_is_found_where_it_is_kept(kind):
    model = stacked_in(kind, 0.4)
    assert layer_drop_rate(model[1]) == 0.4
    assert layer_drop_rate(model[0]) is None
    assert list(skipped_layers(model)) == ["1."]
    assert list(skipped_layers(model.eval())) == []
    assert may_be_skipped("1.layers.0.called", ["1."])


@pytest.mark.parametrize("kind", STACKS)
def test_no_layer_is_skipped_while_it_is_off_and_all_are_afterwards(kind):
    model = stacked_in(kind, 1.0)
    assert layers_that_run(model, X) == set()
    with layer_drop_disabled(model):
        with layer_drop_disabled(model):
            assert layer_drop_rate(model[1]) == 0
        assert layers_that_run(model, X) == {"1.layers.0", "1.layers.1", "1.layers.2"}
    assert layers_that_run(model, X) == set()
    assert layer_drop_rate(model[1]) == 1.0


@pytest.mark.parametrize("name", REAL)
def test_the_models_of_transformers_run_all_their_layers_too(name):
    build, batch = REAL[name]
    model = build(1.0)
    names = {n for n, _ in model.named_modules() if n.rsplit(".", 1)[-1].isdigit()}
    with layer_drop_disabled(model):
        ran = layers_that_run(model, batch)
    wanted = {n for n in names if "layers" in n and "conv" not in n and "feature" not in n}
    assert wanted <= ran
    assert len(wanted) >= 2


def test_the_rate_is_put_back_after_an_error():
    model = stacked_in("config", 0.3)
    with pytest.raises(ZeroDivisionError), layer_drop_disabled(model):
        raise ZeroDivisionError
    assert model[1].config.layerdrop == 0.3


def test_modules_that_share_a_configuration_share_its_rate_afterwards_too():
    config = SimpleNamespace(layerdrop=1)
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    for module in model:
        module.config = config
    with layer_drop_disabled(model):
        # A configuration that checks its types takes the number of its type alone.
        assert (config.layerdrop, type(config.layerdrop)) == (0, int)
    assert config.layerdrop == 1


def test_a_rate_of_a_part_is_not_one_of_modules_without_a_list_of_layers():
    root = stacked_in("part", 0.5)
    root.config = root[1].config
    assert layer_drop_rate(root) is None
    assert layer_drop_rate(root[1]) == 0.5


def test_a_rate_of_its_own_comes_before_those_of_parts():
    model = stacked_in("attribute", 0.1)[1]
    model.config = SimpleNamespace(encoder_layerdrop=0.1, decoder_layerdrop=0.9)
    assert layer_drop_rate(model) == 0.1


def test_generators_are_left_alone():
    model = stacked_in("attribute", 0.5)
    before = torch.get_rng_state()
    with layer_drop_disabled(model):
        pass
    assert torch.equal(torch.get_rng_state(), before)


@dataclass(frozen=True)
class FrozenConfig:
    """A configuration that refuses to be changed."""

    layerdrop: float = 0.4


def test_a_frozen_configuration_is_as_it_was_after():
    model = nn.Module()
    model.config = FrozenConfig()
    with layer_drop_disabled(model):
        assert model.config.layerdrop == 0
    assert model.config == FrozenConfig()
    x = torch.randn(4, 3)
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    net.config = FrozenConfig()
    assert [site.name for site in sites(net, x) if site.native] == ["1"]
    assert net.config == FrozenConfig()


@pytest.mark.parametrize("rate", [None, "0.5", 0, torch.tensor(0.5)])
def test_what_is_no_rate_is_left_alone(rate):
    model = nn.Module()
    model.layerdrop = rate
    with layer_drop_disabled(model):
        assert model.layerdrop is rate
    assert model.layerdrop is rate
