"""The Penn Treebank for a small Transformer-XL."""

from dropsmith.tasks._budget import Budget
from dropsmith.tasks.penn_treebank import PENN_TREEBANK
from dropsmith.tasks.segments import SegmentTask

PENN_TREEBANK_XL = SegmentTask(
    name="penn-treebank-xl",
    source=PENN_TREEBANK.source,
    budget=Budget(epochs=10, batch_size=16, learning_rate=2e-3, weight_decay=0.01),
    limit=100_000,
)
"""The first 100,000 of the 929,589 training tokens where no limit is given."""
