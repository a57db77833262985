"""TorchDropout retunes torch's own noise and Off silences it: both are settings, not draws."""

import pytest
import torch

import dropsmith.patterns
from dropsmith.axes import Axes
from dropsmith.errors import PatternError
from dropsmith.patterns import LinearRate, Off, TorchDropout, from_json
from dropsmith.rng import Key, Source
from dropsmith.testing import check_frozen, check_json, check_repr

SOURCE = Source(Key.of(0))


@pytest.mark.parametrize("pattern", [TorchDropout(rate=0.3), Off()], ids=repr)
def test_both_are_values(pattern):
    check_frozen(pattern)
    check_json(pattern, from_json)
    check_repr(pattern, vars(dropsmith.patterns))


@pytest.mark.parametrize("rate", [1.0, -0.1, LinearRate(start=0.1, end=0.2, steps=3)])
def test_torch_takes_one_number_that_is_a_chance(rate):
    with pytest.raises(PatternError, match="TorchDropout: rate must be"):
        TorchDropout(rate=rate)


def test_native_noise_has_no_mask_to_draw():
    with pytest.raises(PatternError, match=r"(?s)draws no mask.*use Bernoulli"):
        TorchDropout(rate=0.3).draw(Axes.read("batch", (2,)), SOURCE)


def test_off_returns_its_input_itself():
    x = torch.ones(3, 4)
    assert Off().drop(x, ("batch", "unit"), [SOURCE]) is x
    assert Off().drop(x, ("?", "?"), [SOURCE, SOURCE]) is x
    assert torch.equal(Off().draw(Axes.read("batch unit", (3, 4)), SOURCE) * x, x)
