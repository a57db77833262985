"""The budget rule of a comparison in words, which stand above each of its tables."""

from dropsmith.compare import CEILING, Comparison, reached_ceiling

_SHORT = {
    "views": "equal example-views",
    "updates": "equal updates",
    "converged": "every run until it converged",
    "recipes": "each row with the budget of its recipe",
}


_STEPS = {
    "views": ": all methods have equally many, so a method of two views makes half as many steps",
    "updates": ": all methods make equally many steps, so a method of two views has twice as many",
    "converged": ": each run ends where it has converged",
    "recipes": "",
}


def rule_words(comparison: Comparison) -> str:
    """The rule in a few words.

    >>> from dropsmith.compare import Comparison
    >>> rule_words(Comparison(task="digits", rows=(), equal="updates"))
    'equal updates'
    """
    return _SHORT[comparison.equal]


def rule_sentence(comparison: Comparison) -> str:
    """The rule as a part of a sentence, with the numbers of the runs."""
    if comparison.equal == "recipes":
        return "each with the budget of its recipe"
    views, steps = _range(comparison, "example_views"), _range(comparison, "steps")
    if comparison.equal == "updates":
        return (
            f"{steps} updates a run for every method, on equally many examples each; a method of "
            f"two views computes twice as much for one ({views} example-views a run)"
        )
    if comparison.equal == "converged":
        return (
            f"each run until {_patience(comparison)} evaluations in a row had no better validation "
            f"loss, or for {CEILING} times the usual epochs ({views} example-views a run)"
        )
    return f"{views.partition(' to ')[0]} example-views a run for every method"


def unconverged_words(comparison: Comparison) -> str:
    """How many reported runs of each method ended at the ceiling; nothing under another rule."""
    if comparison.equal != "converged":
        return ""
    counts = [
        (row.method, sum(map(reached_ceiling, row.finished_records)), len(row.finished_records))
        for row in comparison.rows
    ]
    said = [f"{count} of {runs} of {method}" for method, count, runs in counts if count]
    if not said:
        return ""
    runs = "run" if len(said) == 1 and said[0].startswith("1 of 1 ") else "runs"
    return (
        f"{runs} that had not converged after {CEILING} times the usual epochs: {', '.join(said)}"
    )


def steps_words(comparison: Comparison) -> str:
    """The steps of methods under the rule, to follow a mention of example-views."""
    return _STEPS[comparison.equal]


def _range(comparison: Comparison, name: str) -> str:
    values = [run.cost[name] for run in comparison.records if name in run.cost]
    least, most = (min(values), max(values)) if values else (0, 0)
    return f"{least:,.0f}" if least == most else f"{least:,.0f} to {most:,.0f}"


def _patience(comparison: Comparison) -> int:
    return comparison.records[-1].config["budget"]["patience"]
