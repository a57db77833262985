"""One HTML page that holds a whole comparison: sentences, tables, pictures, how to run it again."""

from pathlib import Path
from typing import Any

from dropsmith.compare import Comparison, Row, is_method, known_method
from dropsmith.record import Record
from dropsmith.report import pictures
from dropsmith.report.answer_paragraph import answer_text
from dropsmith.report.budget_words import rule_sentence, unconverged_words
from dropsmith.report.caption_pictures import captions
from dropsmith.report.comparison_grids import (
    control_grid,
    details_grid,
    main_grid,
    price_grid,
    sampled_grid,
    trial_grid,
)
from dropsmith.report.comparison_sentences import findings
from dropsmith.report.html import (
    answer_box,
    code,
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
from dropsmith.report.reproduce_command import Place, comparison_command, trials_of
from dropsmith.report.runs import starting_weights
from dropsmith.tasks import NO_OPTIONS, DataOptions
from dropsmith.train import plan_of


def write_page(
    comparison: Comparison,
    folder: Path,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
    place: Place | None = None,
) -> Path:
    """Write `report.html` into `folder` and return its path.

    The page is one file: it opens from disk and asks for nothing from anywhere.

    Args:
        comparison: shown on the page.
        folder: of the page.
        data: the data of the task, for pictures of dropped units; records hold no paths.
        data_options: how it is read.
        model: the name of the user's own model of the runs, where masks are to be drawn inside it.
        place: the parts of its commands that records do not hold; those known here by default.

    Raises:
        DataError: `report.html` is a link there, or no file.
    """
    place = place or Place(data=data, data_options=data_options, folder=folder)
    return save_page(page(comparison, data, model, data_options, place), folder)


def page(
    comparison: Comparison,
    data: Path | None = None,
    model: str | None = None,
    data_options: DataOptions = NO_OPTIONS,
    place: Place | None = None,
) -> str:
    """The page as text; arguments as in `write_page`."""
    place = place or Place(data=data, data_options=data_options)
    record = next((run for run in reversed(comparison.records) if run.environment), None)
    record = record or comparison.records[-1]
    result = answer_text(comparison, place)
    head = heading(f"{comparison.task}: methods compared")
    sections = _sections(comparison, record, data, model, data_options, place)
    body = [
        head,
        answer_box(result.text, result.command),
        paragraph(_lead(comparison, record), "lead"),
        contents(sections),
        *sections,
    ]
    return document(f"{comparison.task} · dropsmith", "\n".join(part for part in body if part))


def _sections(
    comparison: Comparison,
    record: Record,
    data: Path | None,
    model: str | None,
    data_options: DataOptions,
    place: Place,
) -> list[str]:
    return [
        section(
            "found",
            "Results",
            items(findings(comparison)),
            table(main_grid(comparison), f"{comparison.task}-results"),
            _details(comparison),
        ),
        section(
            "differences",
            "Differences",
            pictures.forest(comparison),
            table(control_grid(comparison), "consistency-term"),
        ),
        section("samples", "Monte-Carlo dropout", table(sampled_grid(comparison), "averages")),
        section("curves", "Learning curves", pictures.curves(comparison)),
        section(
            "captions",
            "Captions of test pictures",
            captions(comparison, place.folder, data, model, data_options),
        ),
        section(
            "masks", "What is dropped", _gallery(comparison, record, data, model, data_options)
        ),
        section(
            "bill",
            "Costs",
            pictures.frontier(comparison),
            pictures.costs(comparison),
            table(price_grid(comparison), "costs"),
        ),
        section("choices", "Tuning", _trials(comparison)),
        section("data", "Data", facts(pictures.facts_of_data(record, data, model, data_options))),
        section("methods", "Methods", facts(_methods(comparison))),
        section(
            "again",
            "Command and settings",
            code(comparison_command(comparison, place)),
            facts(facts_of(record)),
        ),
    ]


def _gallery(
    comparison: Comparison,
    record: Record,
    data: Path | None,
    model: str | None,
    data_options: DataOptions,
) -> str:
    plans = pictures.chosen_plans(comparison)
    return pictures.gallery(record, plans, data, model, data_options)


def _lead(comparison: Comparison, record: Record) -> str:
    seeds, trials = len(comparison.rows[0].records), trials_of(comparison)
    tuning = (
        f"Each method's setting is the best of {len(trials)} on validation, tried with "
        f"{_seeds(len(trials[0].records))} not reported"
        if trials
        else "Each method has its usual setting: nothing was tuned"
    )
    weights = starting_weights(record)
    first = "" if weights is None else f" Every run started from {weights}."
    if words := unconverged_words(comparison):
        first += f" {words[0].upper()}{words[1:]}."
    return (
        f"{len(comparison.rows)} methods, {seeds} seed{'s' if seeds > 1 else ''} each, "
        f"{rule_sentence(comparison)}. {tuning}; the numbers are from the "
        f"test set.{first} Data: {record.environment.get('data_source', comparison.task)}."
    )


def _seeds(count: int) -> str:
    return "a seed that is" if count == 1 else f"{count} seeds that are"


def _trials(comparison: Comparison) -> str:
    grid = trial_grid(comparison)
    return "" if grid is None else folded(f"All {len(grid.rows)} trials", table(grid, "trials"))


def _details(comparison: Comparison) -> str:
    grid = details_grid(comparison)
    return "" if grid is None else folded("Other scores", table(grid, "other-scores"))


def _methods(comparison: Comparison) -> dict[str, str]:
    return {row.method: _about(row) for row in comparison.rows}


def _about(row: Row) -> str:
    method = known_method(row.method)
    if method is not None:
        return f"{method.about} ({method.source})"
    if is_method(row.method):
        return f"a method of your own, whose code is not imported for this page: {row.method}"
    rules = plan_of(row.records[0]).rules
    return f"a plan of your own, which is not tuned: {', '.join(map(repr, rules))}"


def facts_of(record: Record) -> dict[str, str]:
    """The settings and the circumstances of a run, by name, as text."""
    budget = record.config["budget"]
    facts = {name: record.config[name] for name in ("task", "model", "limit")}
    facts |= {name.replace("_", " "): value for name, value in budget.items()}
    facts |= {name.replace("_", " "): value for name, value in record.environment.items()}
    return {name: _plain(value) for name, value in facts.items() if value is not None}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    return str(value)
