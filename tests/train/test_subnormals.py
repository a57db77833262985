import torch

from dropsmith.train import train
from dropsmith.train.subnormals import flushed
from train.setups import digits

TINY = 1e-30


def smallest():
    """A product that is a subnormal number, or zero where those are flushed."""
    return float(torch.tensor(TINY) * torch.tensor(1e-9))


def test_small_numbers_are_flushed_inside_and_kept_after():
    with flushed():
        assert smallest() == 0
    assert smallest() > 0


def test_blocks_inside_one_another_leave_the_outer_one_in_force():
    with flushed():
        with flushed():
            pass
        assert smallest() == 0
    assert smallest() > 0


def test_an_error_inside_does_not_leave_them_flushed():
    try:
        with flushed():
            raise ValueError
    except ValueError:
        assert smallest() > 0


def test_a_run_is_made_with_them_flushed_and_leaves_them_as_they_were(tmp_path):
    seen = []
    train(digits(), tmp_path, progress=lambda _: seen.append(smallest()))
    assert set(seen) == {0.0}
    assert smallest() > 0
