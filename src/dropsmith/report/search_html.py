"""One HTML page that holds the searches of a problem: the best plans, scores, preferences."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from math import log10
from pathlib import Path

from dropsmith.compare import Comparison
from dropsmith.errors import DropsmithError
from dropsmith.learn import LEARNED, Searches, SearchRun
from dropsmith.plans import Plan
from dropsmith.record import Record
from dropsmith.report import pictures
from dropsmith.report.comparison_grids import main_grid
from dropsmith.report.comparison_html import facts_of
from dropsmith.report.comparison_sentences import findings
from dropsmith.report.html import (
    answer_box,
    contents,
    document,
    facts,
    folded,
    heading,
    items,
    paragraph,
    save_page,
    section,
    table,
)
from dropsmith.report.inline_svg import picture
from dropsmith.report.numbers import brief
from dropsmith.report.reproduce_command import Place
from dropsmith.report.search_command import search_command_html
from dropsmith.report.search_figures import preferred_figure, scores_figure
from dropsmith.report.search_grids import plan_grid, trials_grid
from dropsmith.report.search_paragraph import is_current, search_answer
from dropsmith.report.search_sentences import (
    PLANS_SHOWN,
    label,
    score_name,
    search_findings,
    trial_count,
)
from dropsmith.tasks import NO_OPTIONS, DataOptions
from dropsmith.train import plan_of

_LARGEST_SPELLED = 10**30
_ROWS = 8
"""Rules of a plan that are drawn, at most."""


def write_search_page(
    searches: Searches,
    folder: Path,
    retrained: Comparison | None = None,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
    place: Place | None = None,
) -> Path:
    """Write `report.html` into `folder` and return its path.

    Args:
        searches: shown on the page.
        folder: of the page.
        retrained: the best plan against other methods on the test set, where that was run.
        data: the data of the task, for pictures of the plans; searches hold no paths.
        data_options: how it is read.
        model: the name of the user's own model of the runs, where masks are to be drawn inside it.
        place: the parts of its commands that records do not hold; those known here by default.
    """
    place = place or Place(data=data, data_options=data_options, folder=folder)
    return save_page(search_page(searches, retrained, data, model, data_options, place), folder)


def search_page(
    searches: Searches,
    retrained: Comparison | None = None,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
    place: Place | None = None,
) -> str:
    """The page as text; arguments as in `write_search_page`."""
    place = place or Place(data=data, data_options=data_options)
    record = Record(config=searches.problem.config, environment=searches.problem.environment)
    result = search_answer(searches, retrained, place)
    sections = [
        section("found", "Results", items(search_findings(searches))),
        section("retrained", "The best plan on the test set", _retraining(searches, retrained)),
        section("plans", "The best plans", table(plan_grid(searches), "plans")),
        section(
            "masks",
            "What the best plans drop",
            _gallery(searches, record, data, model, data_options),
        ),
        section("scores", "Score of each trial", _scores(searches)),
        section(
            "preferred",
            "Values that the samplers proposed",
            *(_preferences(s, searches) for s in searches.runs),
        ),
        section("trials", "All trials", _trials(searches)),
        section(
            "again",
            "Command and settings",
            *(search_command_html(run, searches, place) for run in searches.runs),
            facts(facts_of(record)),
        ),
    ]
    body = [
        heading(f"{searches.problem.task}: search for a dropout plan"),
        answer_box(result.text, result.command),
        paragraph(_lead(searches, record), "lead"),
        contents(sections),
        *sections,
    ]
    title = f"{searches.problem.task} · dropsmith search"
    return document(title, "\n".join(part for part in body if part))


def _lead(searches: Searches, record: Record) -> str:
    trials = trial_count(searches)
    names = ", ".join(label(run, searches) for run in searches.runs)
    seeds, budget = searches.problem.seeds, searches.problem.config["budget"]
    fixed_rules = ", ".join(map(brief, searches.problem.fixed_plan.rules))
    also = f" Rules that every plan has besides: {fixed_rules}." if fixed_rules else ""
    children = "one model" if seeds == 1 else f"{seeds} models, each with its own seed,"
    return (
        f"{trials} trials, proposed by {names}, from a space of {_size(searches)} "
        f"plans. A trial trains {children} under its plan for {budget['epochs']} epochs, and its "
        f"score is the {score_name(searches)}: less is better. The search did not use the test set."
        f"{also} Data: {record.environment.get('data_source', searches.problem.task)}."
    )


def _size(searches: Searches) -> str:
    size = searches.problem.space.size
    return f"{size:,}" if size < _LARGEST_SPELLED else f"about 10^{round(log10(size))}"


def _retraining(searches: Searches, retrained: Comparison | None) -> str:
    if retrained is None:
        return ""
    sentences = items(findings(retrained))
    return "\n".join(
        [
            paragraph(stands_for(searches, retrained)),
            sentences,
            table(main_grid(retrained), "retrained"),
        ]
    )


def stands_for(searches: Searches, retrained: Comparison) -> str:
    """The choice of the plan in the comparison, and of the others' settings."""
    scores = sum(len(run.finished) for run in searches.runs)
    trial_count = max((len(row.trials) for row in retrained.rows), default=0)
    row = retrained.row(LEARNED)
    if row is None:
        return (
            "The learned plan is not in this table. To score it on the test set, search again with "
            "--retrain-seeds."
        )
    if not is_current(searches, retrained):
        return (
            "The learned plan in this table is not the best plan above, which was found later. To "
            "score that one on the test set, search again with --retrain-seeds."
        )
    subject = "The learned plan is the best"
    if row.trials:
        seeds = len(row.trials[0].records)
        finalists = searches.finalists(len(row.trials))
        number = finalists.index(plan_of(row.records[0])) + 1
        subject = (
            f"The learned plan is number {number} above: of the {len(finalists)} best it has the "
            f"least validation loss with {seeds} new seed{'s' * (seeds > 1)}. They are the best"
        )
    return (
        f"{subject} of {scores} scores on validation; each other method tried {trial_count} "
        "settings there. "
        "All were then trained with new seeds, on equally many example-views."
    )


def _gallery(
    searches: Searches,
    record: Record,
    data: Path | None,
    model: str | None,
    data_options: DataOptions,
) -> str:
    from dropsmith.report.gallery import gallery_figure
    from dropsmith.report.masks import examples, plan_mask_examples

    try:
        task, task_data = pictures.task_and_data(record, data, model, data_options)
    except DropsmithError as error:
        return paragraph(f"No masks are drawn: {error}")
    batch = examples(task_data)
    plans = {
        f"plan {rank}": trial.plan for rank, trial in enumerate(searches.ranked()[:PLANS_SHOWN], 1)
    }
    masks = [
        mask
        for name, plan in plans.items()
        for mask in (
            plan_mask_examples(task, task_data, batch, plan, name, _ROWS) if plan.rules else ()
        )
    ]
    if not masks:
        dropping = any(plan.rules for plan in plans.values())
        return paragraph(f"The best plans drop nothing{' that can be drawn' * dropping}.")
    return picture(
        "drawn",
        lambda width: gallery_figure(batch, masks, task_data.vocabulary, width),
        "Grey maps of real examples in which the units that the best plans drop are orange, a row "
        "for each rule of a plan.",
        "Validation examples inside the task's model before training: a row for each rule of the "
        "best plans, at the first place that it applies to. Grey: values that are kept; orange: "
        "values set to zero. Every pass draws other masks."
        + _missing_pictures(plans, Counter(mask.noise for mask in masks)),
    )


def _missing_pictures(plans: Mapping[str, Plan], rows: Mapping[str, int]) -> str:
    """The parts of the best plans without a row."""
    empty = [name for name, plan in plans.items() if not plan.rules]
    missing = {name: len(plan.rules) - rows.get(name, 0) for name, plan in plans.items()}
    sentences = [f" {name.capitalize()} drops nothing." for name in empty]
    sentences += [
        f" Rules of {name} not drawn: {count}." for name, count in missing.items() if count
    ]
    return "".join(sentences)


def _scores(searches: Searches) -> str:
    return picture(
        "trial-scores",
        partial(scores_figure, searches),
        "The score of each trial and the best score so far of each search, by trial. The numbers "
        "are in the table of all trials.",
        "A dot for each trial, a line for the best so far. Crosses: stopped early, at the last "
        "score reported; triangles at the top: scores above the picture; red triangles at the "
        "bottom: failed.",
    )


def _preferences(search: SearchRun, searches: Searches) -> str:
    return picture(
        f"preferred-{searches.runs.index(search)}",
        partial(preferred_figure, search, searches),
        f"For each choice, how often {label(search, searches)} proposed each of its values, from "
        "the first trials on the left to the last on the right.",
        f"The values that {label(search, searches)} proposed: a panel for each choice, a row "
        "for each value, trials from left to right. Darker: more of the trials had the value.",
    )


def _trials(searches: Searches) -> str:
    tries, trials = sum(len(run.trials) for run in searches.runs), trial_count(searches)
    retries = f", {tries - trials} of them tried again" if tries > trials else ""
    return folded(f"All {trials} trials{retries}", table(trials_grid(searches), "trials"))
