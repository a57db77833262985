"""Gal & Ghahramani (2016), section 5.2: ratings of film reviews; the paper shows curves, no table.

Settings are those of the authors' scripts. Their L2 penalty w·θ² has the gradient 2·w·θ, so the
weight decay here is twice theirs.
"""

from dataclasses import replace

from dropsmith.objectives import TaskLoss
from dropsmith.patterns import Bernoulli, WordDropout
from dropsmith.plans import Plan, rule
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset
from dropsmith_recipes._recipe import Recipe

RATE, SAMPLES = 0.5, 50
_LONG, _SHORT, _CPU = 1250, 250, 20
_UNLIKE = (
    "reviews are split and not their pieces, so that no review is both trained and tested on",
    "words are numbered by the training reviews alone, and texts are padded at their ends",
    "the last fifth is split into validation and test, and the best epoch is chosen on validation",
    "layers begin as torch's do, and their gates are torch's",
)


def _budget(epochs: int) -> Budget:
    return Budget(
        epochs=epochs,
        batch_size=128,
        learning_rate=1e-3,
        weight_decay=2e-6,
        clip=None,
        optimiser=optimisers.Adam(),
        schedule=learning_rates.Constant(),
    )


def _plan(sharing: str) -> Plan:
    return Plan(
        rule("embedding", WordDropout(rate=RATE)),
        rule("layer.input_l0", Bernoulli(rate=RATE, shared=sharing)),
        rule("layer.recurrent_l0", Bernoulli(rate=RATE, shared=sharing)),
        rule("head.input", Bernoulli(rate=RATE)),
    )


def _recipe(cell: str, variational: bool, epochs: int, unlike: tuple[str, ...] = ()) -> Recipe:
    kind = "variational" if variational else "naive"
    paper = Preset(
        model=None,
        plan=_plan("time" if variational else ""),
        budget=_budget(epochs),
        samples=SAMPLES,
    )
    masks = "held over a text" if variational else "new at every step"
    return Recipe(
        task="sentiment-scale" + ("-gru" if cell == "gru" else ""),
        name=f"{kind}-{cell}",
        about=f"{cell.upper()} of 128, masks of each gate {masks}, words dropped by type",
        source="Gal & Ghahramani (2016), section 5.2; settings from the authors' scripts",
        objective=TaskLoss(),
        paper=paper,
        cpu=replace(paper, budget=_budget(_CPU), samples=10),
        unlike=(*_UNLIKE, *unlike),
    )


def variational_lstm() -> Recipe:
    """LSTM, one mask for each gate, held over a text."""
    return _recipe("lstm", variational=True, epochs=_SHORT)


def naive_lstm() -> Recipe:
    """LSTM, new masks for each gate at every step, on the state, too, as in the authors' code."""
    return _recipe("lstm", variational=False, epochs=_LONG)


def variational_gru() -> Recipe:
    """GRU, one mask for each gate, held over a text."""
    return _recipe("gru", variational=True, epochs=_LONG)


def naive_gru() -> Recipe:
    """GRU, new masks at every step."""
    return _recipe("gru", variational=False, epochs=_LONG)
