"""The parts of a recipe: its settings for much time or little, and the published numbers."""

from dataclasses import dataclass
from typing import Literal

from dropsmith.plans import Plan
from dropsmith.tasks import Budget
from dropsmith_recipes.proxy import Proxy

Certainty = Literal["paper", "code", "quoted"]
"""Where a number was seen: the paper, the repository of its authors, or another text that quotes
it. A number that could not be found in a text is not given."""

PRESETS = ("cpu", "paper")


@dataclass(frozen=True, kw_only=True)
class PublishedScore:
    """A number that a paper reports for a row.

    Args:
        score: what our records call it, such as `test_perplexity`, or `test_mc_perplexity` for
            the mean over samples.
        value: the number, in the unit of our records: shares, where the paper has per cent.
        certainty: where it was seen.
        source: the text and the place in it where the number was seen.
        spread: its standard deviation over the authors' runs, where they give one.
        digits: how many it is shown with after the point.
    """

    score: str
    value: float
    certainty: Certainty
    source: str
    spread: float | None = None
    digits: int = 1


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The settings of a recipe that depend on how much time there is.

    Args:
        model: `package.module:function` that makes the model, or None for the task's own.
        plan: where the model drops what.
        budget: how long and with which steps.
        limit: how many training examples, 0 for all, or None for the task's own choice.
        samples: how many noisy passes are averaged for the scores `test_mc_…`; 0 for none.
        task: the task that stands in for the recipe's where that is too large; None for its own.
        search: how the plan is found, where it is not known: `plan` then holds nothing.
        whole: whether the final training is on validation examples, too.
        labels: how many training examples have a label; None for all.
        unlabelled_ratio: the examples without a label in a batch for each with one.
    """

    model: str | None
    plan: Plan
    budget: Budget
    limit: int | None = None
    samples: int = 0
    task: str | None = None
    search: Proxy | None = None
    whole: bool = False
    labels: int | None = None
    unlabelled_ratio: int = 1
