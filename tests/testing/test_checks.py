"""The checks of values pass what keeps its promises and name what does not."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from dropsmith.testing import check_frozen, check_json, check_repr, record_saved_tensors
from dropsmith.testing.checks import check_mean


@dataclass(frozen=True)
class Good:
    rate: float = 0.1

    def to_json(self) -> dict[str, Any]:
        return {"rate": self.rate}


@dataclass
class Loose:
    rate: float = 0.1


@dataclass(frozen=True)
class Unhashable:
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Forgetful(Good):
    def __deepcopy__(self, memo: Any) -> "Forgetful":
        return Forgetful(rate=self.rate / 2)


@dataclass(frozen=True)
class Mute(Good):
    def __repr__(self) -> str:
        return "Mute()"


def test_a_value_that_keeps_its_promises_passes():
    check_frozen(Good(rate=0.3))
    check_json(Good(rate=0.3), lambda values: Good(**values))
    check_repr(Good(rate=0.3), {"Good": Good})


def test_a_value_that_can_be_changed_is_named():
    with pytest.raises(AssertionError, match="allows to set 'rate'"):
        check_frozen(Loose())


def test_a_value_that_does_not_hash_fails():
    with pytest.raises(TypeError, match="unhashable"):
        check_frozen(Unhashable())


def test_a_copy_that_differs_is_shown():
    with pytest.raises(AssertionError, match="differs from it"):
        check_frozen(Forgetful())


def test_a_setting_lost_in_json_is_shown():
    with pytest.raises(AssertionError, match=r"was read as Good\(rate=0.1\)"):
        check_json(Good(rate=0.3), lambda values: Good())


def test_a_number_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        check_json(Good(rate=float("nan")), lambda values: Good(**values))


def test_a_setting_that_is_not_printed_is_shown():
    with pytest.raises(AssertionError, match="evaluates to another value"):
        check_repr(Mute(rate=0.3), {"Mute": Mute})


def drawn(count: int, mean: float) -> list[torch.Tensor]:
    return list(mean + torch.randn(count, generator=torch.Generator().manual_seed(0)))


def test_a_mean_that_is_off_passes_few_draws_and_fails_many():
    check_mean(drawn(100, 0.1), 0.0, "the mean")
    with pytest.raises(AssertionError, match=r"the mean is 0\.\d+ over 10000 draws, not 0.0 ±"):
        check_mean(drawn(10_000, 0.1), 0.0, "the mean")


def test_draws_that_are_all_alike_are_held_to_rounding():
    check_mean([torch.tensor(1.0)] * 9, 1.0 + 1e-6, "the mean")
    with pytest.raises(AssertionError):
        check_mean([torch.tensor(1.0)] * 9, 1.001, "the mean")


def test_a_kept_mask_is_found():
    x, mask = torch.ones(4, 3, requires_grad=True), torch.ones(4, 1)
    with record_saved_tensors() as kept:
        out = x * mask
    assert [tensor.shape for tensor in kept] == [(4, 1)]
    out.sum().backward()
    assert x.grad is not None


def test_what_keeps_nothing_is_silent():
    x = torch.ones(4, requires_grad=True)
    with record_saved_tensors() as kept:
        x + 1
        torch.ones(4) * torch.ones(4)
    assert kept == []
