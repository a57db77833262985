"""The tasks of single sentences by name, each a table in a folder or a data set on the Hub."""

from dropsmith.tasks._budget import Budget
from dropsmith.tasks.texts import TextSource, TextTask

_BUDGET = Budget(epochs=8, batch_size=64, learning_rate=1e-3, weight_decay=0.01)
_POLARITY = (("0", "negative"), ("1", "positive"))


def _task(source: TextSource, *metrics: str) -> TextTask:
    return TextTask(name=source.name, source=source, budget=_BUDGET, metrics=metrics)


SST2 = _task(
    TextSource(
        name="sst2",
        about="SST-2 film review sentences (Socher et al., 2013), as in GLUE",
        names=_POLARITY,
        hub=("stanfordnlp/sst2", None, "sentence"),
        limit=10_000,
    )
)
"""10,000 balanced training phrases; validation and test are whole sentences of other reviews."""

RT_POLARITY = _task(
    TextSource(
        name="rt_polarity",
        about="film review sentences (Pang & Lee, 2005), split by a hash where none is given",
        names=_POLARITY,
        hub=("cornell-movie-review-data/rotten_tomatoes", None, "text"),
    )
)

COLA = _task(
    TextSource(
        name="cola",
        about="CoLA, is a sentence acceptable English (Warstadt et al., 2019)",
        names=(("0", "unacceptable"), ("1", "acceptable")),
        hub=("nyu-mll/glue", "cola", "sentence"),
    ),
    "matthews",
)

TEXT = _task(TextSource(name="text", about="texts and labels", text=("text", "sentence")))
"""A user's own table, or folder of tables, with columns `text` and `label`."""
