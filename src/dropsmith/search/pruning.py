"""When a trial is stopped early: Optuna's rules, by name."""

from typing import TYPE_CHECKING

from dropsmith.errors import SearchError, did_you_mean

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

PRUNERS = {
    "asha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "median": "MedianPruner",
}
"""Names, and what Optuna calls each (Li et al. 2020; Li et al. 2018; Golovin et al. 2017)."""


def pruner_of(asked: "str | BasePruner | None") -> "BasePruner":
    """The pruner of a name, a pruner as it is, or one that never stops anything for None."""
    from optuna import pruners

    if asked is None:
        return pruners.NopPruner()  # Optuna's own default would stop trials
    if isinstance(asked, pruners.BasePruner):
        return asked
    if asked not in PRUNERS:
        raise SearchError(
            f"no pruner is called {asked!r}\n  there are: {', '.join(PRUNERS)}"
            + did_you_mean(asked, PRUNERS)
        )
    return getattr(pruners, PRUNERS[asked])()
