"""Errors for predictions without uncertainty, with the reasons: zero is never returned alone."""

from typing import Any

from torch import nn

from dropsmith.errors import NoNoiseError
from dropsmith.noise import state_unchanged
from dropsmith.passes import audit

_ADD = "\n  add noise: predict(..., plan=Plan(rule('<site>', Bernoulli(rate=0.1))))"


def no_noise(model: nn.Module, probe_inputs: Any) -> NoNoiseError:
    """The error for a model in which nothing random happens, with the reason at each site."""
    reasons = _reasons(model, probe_inputs)
    if not reasons:
        return NoNoiseError(
            "this model has no dropout and no plan, so every sample would be the same" + _ADD
        )
    return NoNoiseError(
        "no noise is on in this model, so every sample would be the same\n" + reasons + _ADD
    )


def no_effect(model: nn.Module, probe_inputs: Any, samples: int, sites: list[str]) -> NoNoiseError:
    """The error for noise that ran and left no trace in what the model returned."""
    ran = ", ".join(sites[:4]) + (f" and {len(sites) - 4} more" if len(sites) > 4 else "")
    return NoNoiseError(
        f"all {samples} samples are the same, though noise ran at {ran or 'a call of torch'}\n"
        f"{_reasons(model, probe_inputs)}\n  what is dropped there does not reach the outputs: "
        "is it zero already, overwritten, or beside the way to them?"
    )


def _reasons(model: nn.Module, probe_inputs: Any) -> str:
    with state_unchanged(model):
        # Prediction draws in eval mode too: what is off in train mode is off for good.
        rows = audit(model.train(), probe_inputs).rows
    lines = [f"  {row.site.name}: {row.why}" for row in rows if row.why]
    rest = [f"  and {len(lines) - 8} more"] if len(lines) > 8 else []
    return "\n".join(lines[:8] + rest)
