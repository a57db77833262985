"""WikiText-2 for a small Transformer-XL."""

from dropsmith.tasks._budget import Budget
from dropsmith.tasks.segments import SegmentTask
from dropsmith.tasks.wikitext2 import WIKITEXT2

WIKITEXT2_XL = SegmentTask(
    name="wikitext2-xl",
    source=WIKITEXT2.source,
    budget=Budget(epochs=10, batch_size=16, learning_rate=2e-3, weight_decay=0.01),
    limit=100_000,
)
"""The first 100,000 of the 2,088,628 training tokens where no limit is given."""
