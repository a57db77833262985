"""One HTML page that holds the searches of a problem: the best plans, scores, preferences."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dropsmith.compare import Comparison
from dropsmith.errors import DropsmithError
from dropsmith.learn import LEARNED, Searched, Searches
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.report import pictures
from dropsmith.report.cells import main_grid
from dropsmith.report.figures import svg
from dropsmith.report.findings import findings
from dropsmith.report.html import (
    document,
    facts,
    folded,
    heading,
    items,
    paragraph,
    picture,
    section,
    table,
)
from dropsmith.report.numbers import brief
from dropsmith.report.page import FILE, facts_of
from dropsmith.report.search_again import again
from dropsmith.report.search_figures import preferred_figure, scores_figure
from dropsmith.report.searched import (
    SHOWN,
    label,
    plan_grid,
    score_name,
    search_findings,
    trials_grid,
)

_ROWS = 8
"""Rules of a plan that are drawn, at most."""


def write_search_page(
    searches: Searches,
    folder: Path,
    retrained: Comparison | None = None,
    data: Path | None = None,
) -> Path:
    """Write `report.html` into `folder` and return its path.

    Args:
        searches: what the page shows.
        folder: where it goes.
        retrained: the best plan against other methods on the test set, where that was run.
        data: what the task reads, over which plans are drawn; searches hold no paths.
    """
    path = folder / FILE
    partial = path.with_suffix(".partial")
    partial.write_text(search_page(searches, retrained, data), encoding="utf-8")
    return partial.replace(path)


def search_page(
    searches: Searches, retrained: Comparison | None = None, data: Path | None = None
) -> str:
    """The page as text; arguments as in `write_search_page`."""
    record = Record(config=searches.problem.config, environment=searches.problem.environment)
    found = searches.found
    body = [
        heading(f"{searches.problem.task}: a pattern learned"),
        paragraph(_lead(searches, record), "lead"),
        section("found", "What came out", items(search_findings(searches))),
        section(
            "retrained", "On seeds and examples it has not seen", _retrained(searches, retrained)
        ),
        section("plans", "The best plans, token by token", table(plan_grid(searches))),
        section("masks", "What they drop", _gallery(searches, record, data)),
        section("scores", "Scores over trials", _scores(searches)),
        section("preferred", "What was preferred", *(_preferred(s, searches) for s in found)),
        section("trials", "Every trial", _trials(searches)),
        section(
            "again",
            "How to run it again",
            *(again(one, searches, data) for one in found),
            facts(facts_of(record)),
        ),
    ]
    title = f"{searches.problem.task} · dropsmith search"
    return document(title, "\n".join(part for part in body if part))


def _lead(searches: Searches, record: Record) -> str:
    trials = sum(len(one.trials) for one in searches.found)
    names = ", ".join(label(one, searches) for one in searches.found)
    seeds, budget = searches.problem.seeds, searches.problem.config["budget"]
    beside = ", ".join(map(brief, searches.problem.beside.rules))
    also = f" Every plan has beside what is searched: {beside}." if beside else ""
    children = "one model" if seeds == 1 else f"{seeds} models, each with its own seed,"
    return (
        f"{trials} trials, proposed by {names}, from a space of {searches.problem.space.size:,} "
        f"plans. A trial trains {children} under its plan for {budget['epochs']} epochs, and its "
        f"score is the {score_name(searches)}: less is better. The test set was not looked at."
        f"{also} Data: {record.environment.get('data_source', searches.problem.task)}."
    )


def _retrained(searches: Searches, retrained: Comparison | None) -> str:
    if retrained is None:
        return ""
    said = items(findings(retrained))
    return "\n".join(
        [paragraph(stands_for(searches, retrained)), said, table(main_grid(retrained))]
    )


def stands_for(searches: Searches, retrained: Comparison) -> str:
    """What the plan in the comparison was chosen from, and the others."""
    scores = sum(len(one.finished) for one in searches.found)
    most = max((len(row.trials) for row in retrained.rows), default=0)
    row = retrained.row(LEARNED)
    if row is None:
        return (
            "The learned plan is not in this table. To train it beside these, search again with "
            "--retrain-seeds."
        )
    trained = Plan.from_json(row.records[0].config["plan"])
    finalists = searches.finalists(max(1, len(row.trials)))
    if trained not in finalists:
        return (
            "The learned plan in this table is not the best one above, which was found later. To "
            "train that one anew, search again with --retrain-seeds."
        )
    which = "The learned plan is the best"
    if row.trials:
        seeds = len(row.trials[0].records)
        which = (
            f"The learned plan is number {finalists.index(trained) + 1} above: of the "
            f"{len(finalists)} best it has the least loss on {seeds} seed{'s' * (seeds > 1)} that "
            "the search has not seen. They are the best"
        )
    return (
        f"{which} of {scores} scores on validation; each other method tried {most} settings there. "
        "All were then trained anew, as long as one another."
    )


def _gallery(searches: Searches, record: Record, data: Path | None) -> str:
    from dropsmith.report.gallery import gallery_figure
    from dropsmith.report.masks import drawn_by, examples

    try:
        task, found = pictures.task_and_data(record, data)
    except DropsmithError as error:
        return paragraph(f"Masks are not shown: {error}")
    batch = examples(found)
    plans = {f"plan {rank}": one.plan for rank, one in enumerate(searches.ranked()[:SHOWN], 1)}
    drawn = [
        one
        for name, plan in plans.items()
        for one in (drawn_by(task, found, batch, plan, name, _ROWS) if plan.rules else ())
    ]
    if not drawn:
        dropping = any(plan.rules for plan in plans.values())
        return paragraph(f"The best plans drop nothing{' that can be drawn' * dropping}.")
    return picture(
        svg(gallery_figure(batch, drawn, found.vocabulary)),
        "Grey maps of real examples in which the units that the best plans drop are orange, a row "
        "for each rule of a plan.",
        "Validation examples inside the task's model before training: a row for each rule of the "
        "best plans, at the first place it means. Grey: the values that go on; orange: what was "
        "dropped. Every pass draws anew." + _not_drawn(plans, Counter(one.noise for one in drawn)),
    )


def _not_drawn(plans: Mapping[str, Plan], rows: Mapping[str, int]) -> str:
    """What of the best plans has no row."""
    nothing = [name for name, plan in plans.items() if not plan.rules]
    left = {name: len(plan.rules) - rows.get(name, 0) for name, plan in plans.items()}
    said = [f" {name.capitalize()} drops nothing." for name in nothing]
    said += [f" Rules of {name} not drawn: {count}." for name, count in left.items() if count]
    return "".join(said)


def _scores(searches: Searches) -> str:
    figure = scores_figure(searches)
    return picture(
        svg(figure) if figure else None,
        "The score of each trial and the best score so far of each search, by trial. The numbers "
        "are in the table of all trials.",
        "A dot for each trial, a line for the best so far. Crosses: stopped early, at the last "
        "score reported; triangles at the top: scores above the picture; red triangles at the "
        "bottom: failed.",
    )


def _preferred(search: Searched, searches: Searches) -> str:
    figure = preferred_figure(search, searches)
    return picture(
        svg(figure) if figure else None,
        f"For each choice, how often {label(search, searches)} proposed each of its values, from "
        "the first trials on the left to the last on the right.",
        f"What {label(search, searches)} proposed: one panel for each choice, one line for each "
        "value, time from left to right. The darker, the more of the trials of that time had it.",
    )


def _trials(searches: Searches) -> str:
    grid = trials_grid(searches)
    return folded(f"All {sum(len(one.trials) for one in searches.found)} trials", table(grid))
