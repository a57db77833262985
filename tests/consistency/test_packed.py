"""The loss of a consistent model of packed sequences is that of the same sequences padded."""

import torch

from consistency.tiny import of_rows
from dropsmith.consistency import consistent, terms_of
from dropsmith.objectives import RDrop
from noise.sequences import LENGTHS, PACKED, PADDED, Reader, planned

LABELS = torch.tensor([0, 2, 1, 0])


def test_packed_or_padded_the_loss_and_its_gradients_are_the_same():
    losses, grads = [], []
    for batch in ((PACKED,), (PADDED, LENGTHS)):
        model = consistent(planned(Reader()), RDrop(alpha=1.0), loss=of_rows, mode="auto")
        losses.append(model.train()(*batch, labels=LABELS).loss)
        assert all(one.value > 0 for one in terms_of(model).values())
        losses[-1].backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*grads)
