"""A few steps of a plain loop on real sentences, run in many ways: in each the term by hand."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch

from adapters.by_hand import ALPHA, PLAN, hand, held_step
from adapters.texts import batch, gpt2, rows
from dropsmith.consistency import consistent, terms_of
from dropsmith.objectives import RDrop

pytestmark = pytest.mark.slow

pytest.importorskip("transformers")
STEPS, RATE = 3, 0.3


def as_it_is(model: Any) -> Any:
    return model


def checkpointed(model: Any) -> Any:
    model.activation_checkpointing_enable({"use_reentrant": False})
    return model


def compiled(model: Any) -> Any:
    return torch.compile(model, backend="aot_eager")


def accelerated(model: Any) -> Any:
    accelerate = pytest.importorskip("accelerate")
    return accelerate.Accelerator(cpu=True).prepare(model)


def in_bfloat16(model: Any) -> Any:
    return model.bfloat16()


def autocast() -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16)


# How the model is run, around what, and how near that comes to float64.
WAYS = {
    "as it is": (as_it_is, nullcontext, 1e-4),
    "checkpointed": (checkpointed, nullcontext, 1e-4),
    "compiled": (compiled, nullcontext, 1e-4),
    "Accelerate": (accelerated, nullcontext, 1e-4),
    "bfloat16": (in_bfloat16, nullcontext, 2e-2),
    "autocast": (as_it_is, autocast, 2e-2),
}


@pytest.mark.parametrize(("run", "around", "near"), WAYS.values(), ids=WAYS)
def test_every_step_of_a_plain_loop_has_loss_and_gradient_by_hand(run, around, near, data_dir):
    given = batch(rows(data_dir, "causal", 8))
    model = held_step(consistent(gpt2(), RDrop(alpha=ALPHA), plan=PLAN))
    running, other = run(model), gpt2()
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    for _ in range(STEPS):
        other.load_state_dict(model.state_dict())
        expected = hand(other, given, shift=True)
        optimizer.zero_grad()
        with around():
            loss = running(**given).loss
        loss.backward()
        assert float(loss.detach()) == pytest.approx(expected.loss, rel=near)
        made = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
        assert float(torch.stack(made).sum().sqrt()) == pytest.approx(expected.norm, rel=10 * near)
        optimizer.step()
    assert terms_of(model)["consistency"].value > 1e-5
