"""A quiet view of a consistent model stays quiet when checkpointing runs its layers again."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from consistency.tiny import X, Y
from dropsmith.consistency import consistent
from dropsmith.objectives import ExpectationLinear


class Checkpointed(nn.Module):
    """A layer with torch's own dropout, run again in backward where `reentrant` is not None."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.inside = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Dropout(0.5))
            self.first, self.head = nn.Linear(6, 6), nn.Linear(32, 3)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.reentrant is None:
            return self.head(self.inside(x))
        return self.head(checkpoint(self.inside, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradients_are_those_without_checkpointing_to_the_bit(reentrant):
    found = []
    for how in (None, reentrant):
        model = consistent(Checkpointed(how), ExpectationLinear(kappa=5.0), loss="classification")
        torch.manual_seed(1)
        model(X, labels=Y).loss.backward()
        assert all(module.training for module in model.modules())
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
