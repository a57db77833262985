"""Searches that cost nothing, and the smallest child that is really trained."""

from dataclasses import replace

from dropsmith.learn import Problem, Searches, SearchRun, child_setup
from dropsmith.pattern_search import Choice, ListedSpace, Trial, part
from dropsmith.patterns import DropBlock, Tiles
from dropsmith.plans.rule import rule
from dropsmith.tasks import find_task

DIGITS = find_task("digits")
SETUP = child_setup(DIGITS, replace(DIGITS.budget, epochs=2, batch_size=20), limit=60)

_SIZE = Choice("convs.size", (1, 2, 3))
_SHEAR = Choice("convs.shear_x", (0.0, 0.5))
_DRAW = Choice("convs.draw", ("tiles", "blocks", "none"))
SPACE = ListedSpace(
    (_SIZE, _SHEAR, _DRAW),
    (
        part(
            rule("convs.0", Tiles(size=1, stride=2)),
            sets={"size": "convs.size", "shear_x": "convs.shear_x"},
            when={"convs.draw": "tiles"},
        ),
        part(
            rule("convs.0", DropBlock(rate=0.2, size=1)),
            sets={"size": "convs.size"},
            when={"convs.draw": "blocks"},
        ),
    ),
)


def problem(**change):
    """A problem of the smallest children; its small space stands for one that a command made."""
    found = DIGITS.load(None, 60)
    settings = {
        "config": SETUP.to_json(),
        "seeds": 1,
        "loss": "nll",
        "space": SPACE,
        "environment": {
            "data_sha256": found.sha256,
            "data_source": found.source,
            "space_kind": "conv",
        },
    }
    return Problem(**settings | change)


def trial(number, tokens=(0, 0, 0), score=None, status="finished", **rest):
    """A trial of the space by hand."""
    return Trial(
        number=number,
        proposal_index=rest.pop("proposal_index", number),
        tokens=tokens,
        choices=SPACE.describe(tokens),
        plan=SPACE.plan(tokens),
        score=score,
        status=status,
        tell_order=number,
        **rest,
    )


def searched(*trials, sampler="controller", seed=0, pruner=None):
    return SearchRun(sampler=sampler, seed=seed, pruner=pruner, trials=tuple(trials))


def searches(*found, **change):
    return Searches(problem=problem(**change), runs=found)
