"""Why a prediction would report no uncertainty, in words: zero is never returned without one."""

from typing import Any

from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.noise import state_unchanged
from dropsmith.passes import audit

_ADD = "\n  add noise: predict(..., plan=Plan(rule('<site>', Bernoulli(rate=0.1))))"


def no_noise(model: nn.Module, few: Any) -> NoiseError:
    """The error for a model in which nothing random happens, with the reason at each site."""
    reasons = _reasons(model, few)
    if not reasons:
        return NoiseError(
            "this model has no dropout and no plan, so every sample would be the same" + _ADD
        )
    return NoiseError(
        "no noise is on in this model, so every sample would be the same\n" + reasons + _ADD
    )


def no_effect(model: nn.Module, few: Any, samples: int, sites: list[str]) -> NoiseError:
    """The error for noise that ran and left no trace in what the model returned."""
    ran = ", ".join(sites[:4]) + (f" and {len(sites) - 4} more" if len(sites) > 4 else "")
    return NoiseError(
        f"all {samples} samples are the same, though noise ran at {ran or 'a call of torch'}\n"
        f"{_reasons(model, few)}\n  what is dropped there does not reach the outputs: is it "
        "zero already, overwritten, or beside the way to them?"
    )


def _reasons(model: nn.Module, few: Any) -> str:
    with state_unchanged(model):
        # Prediction draws in eval mode too: what is off in train mode is off for good.
        rows = audit(model.train(), few).rows
    told = [(row.site.name, row.why) for row in rows if row.why]
    more = [f"  and {len(told) - 8} more"] if len(told) > 8 else []
    return "\n".join([f"  {name}: {why}" for name, why in told[:8]] + more)
