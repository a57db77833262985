"""The comparison of a search's plan with dropout on the test set, with numbers by hand."""

from dataclasses import replace

from compare import synthetic
from compare.synthetic import comparison
from dropsmith.compare import Row

LOSSES = [0.1, 0.2, 0.3]


def retrained(plan, seeds=3):
    """Dropout, and the plan under the name `learned`, over some seeds each."""
    made = synthetic.design(("dropout", "learned"), plans=(("learned", plan),))
    (setting,) = made.settings("learned")
    runs = tuple(synthetic.record(made.setup("learned", setting, seed)) for seed in range(seeds))
    own = Row(method="learned", trials=(), setting=setting, records=runs)
    return replace(
        comparison({"dropout": LOSSES[:seeds]}),
        rows=(synthetic.row(made, "dropout", LOSSES[:seeds]), own),
    )
