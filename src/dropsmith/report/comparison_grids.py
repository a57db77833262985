"""The tables of a comparison as grids of cells, for any of the ways of showing them."""

from collections.abc import Sequence

from dropsmith.compare import (
    Comparison,
    Line,
    Price,
    Spread,
    Trial,
    clock,
    constant_predictor,
    mean,
    metrics,
    prices,
    sample_averages,
    spell_setting,
    summarise,
)
from dropsmith.record import validation_loss, validation_loss_name
from dropsmith.report.budget_words import rule_sentence, rule_words, unconverged_words
from dropsmith.report.cells import Cell, Grid, difference, score_cell, setting_cell, short
from dropsmith.report.numbers import LOSSES, METRICS, megabytes, seconds, seeds


def main_grid(comparison: Comparison) -> Grid:
    """Method, setting, scores, differences to the baseline, time and memory."""
    names, lines = metrics(comparison), summarise(comparison)
    heads = ["method", "setting", *(METRICS[name].head for name in names)]
    heads += [f"Δ {short(name)} to {comparison.baseline}" for name in names]
    heads.append("a run")
    return Grid(
        f"{comparison.task}, {rule_words(comparison)}: mean ± standard deviation over "
        f"{_seeds(lines)}; {DIFFERENCES}"
        + "".join(f"; {name}: {signature}" for name, signature in _signatures(comparison))
        + "".join(f"; {words}" for words in [unconverged_words(comparison)] if words),
        tuple(heads),
        (*(_main_row(line, names) for line in lines), *_constant_row(comparison, names)),
    )


def _constant_row(comparison: Comparison, names: Sequence[str]) -> list[tuple[Cell, ...]]:
    """The row of always predicting the commonest class, or the mean; none in old records."""
    constant = constant_predictor(comparison)
    if constant is None:
        return []
    scores = [
        Cell(METRICS[name].value(constant.scores[name])) if name in constant.scores else Cell("–")
        for name in names
    ]
    return [
        (
            Cell(constant.name),
            Cell(""),
            *scores,
            *[Cell("")] * len(names),
            Cell(""),
        )
    ]


def details_grid(comparison: Comparison) -> Grid | None:
    """The scores that the main table leaves out; None where runs have no others."""
    shown = metrics(comparison)
    rows = [row for row in comparison.rows if row.finished_records]
    runs = [run for row in rows for run in row.finished_records]
    names = [
        name
        for name in METRICS
        if name not in shown and runs and all(name in run.scores for run in runs)
    ]
    if not names:
        return None
    return Grid(
        f"{comparison.task}, {rule_words(comparison)}: other scores on the test set, mean ± "
        "standard deviation over seeds",
        ("method", *(METRICS[name].head for name in names)),
        tuple(
            (
                Cell(row.method),
                *(score_cell(name, Spread.of(list(row.scores(name).values()))) for name in names),
            )
            for row in rows
        ),
    )


DIFFERENCES = (
    "differences are paired by seed, with 95 % intervals; bold: significant after Holm correction "
    "(p < 0.05)"
)
"""The words below every table of differences."""


def _signatures(comparison: Comparison) -> list[tuple[str, str]]:
    """The signatures of scores of written texts, each once."""
    signatures = [
        record.environment.get("signatures", {})
        for row in comparison.rows
        for record in row.finished_records
    ]
    return sorted({pair for entry in signatures for pair in entry.items()})


def _main_row(line: Line, names: Sequence[str]) -> tuple[Cell, ...]:
    cells = [Cell(line.method, _runs(line)), setting_cell(line.setting)]
    cells += [score_cell(name, line.spread.get(name)) for name in names]
    cells += [difference(name, line.to_baseline.get(name)) for name in names]
    return (*cells, Cell(seconds(line.seconds), megabytes(line.memory)))


def control_grid(comparison: Comparison) -> Grid | None:
    """The effect of the consistency term: differences to the two-sample control."""
    names = metrics(comparison)
    lines = [line for line in summarise(comparison) if line.to_control]
    if not lines:
        return None
    return Grid(
        f"Effect of the consistency term, {rule_words(comparison)}: difference from two-sample "
        f"(same passes, no consistency loss); {DIFFERENCES}",
        ("method", *(f"Δ {short(name)} to two-sample" for name in names)),
        tuple(
            (Cell(line.method), *(difference(name, line.to_control.get(name)) for name in names))
            for line in lines
        ),
    )


def trial_grid(comparison: Comparison) -> Grid | None:
    """Every setting tried, its validation loss and main score, and which was chosen."""
    main = _main_on_validation(comparison)
    rows = [
        (
            Cell(row.method),
            Cell(spell_setting(trial.setting)),
            *_validation(trial, main),
            mark,
        )
        for row in comparison.rows
        for trial in row.trials
        for mark in [Cell("chosen" if trial.setting == row.setting else "")]
    ]
    if not rows:
        return None
    loss_name = LOSSES[loss_of(comparison)]
    score = [] if main is None else [METRICS[main].head.replace("test", "validation")]
    heads = ("method", "setting", f"validation {loss_name}", *score, "")
    seed_count = max(len(trial.records) for row in comparison.rows for trial in row.trials)
    words = "a seed that is" if seed_count == 1 else f"{seed_count} seeds that are"
    caption = (
        f"All settings, each tried with {words} not reported; the least mean {loss_name} is chosen"
    )
    return Grid(caption, heads, tuple(rows))


def sampled_grid(comparison: Comparison) -> Grid | None:
    """The gain from averaged noisy passes: scores of the mean, and differences to one pass."""
    names, lines = metrics(comparison), sample_averages(comparison)
    if not lines:
        return None
    heads = [f"{METRICS[name].head} of the mean" for name in names]
    heads += [f"Δ {short(name)} to one pass" for name in names]
    without = " and ".join(lines[0].without)
    return Grid(
        f"Monte-Carlo dropout, {rule_words(comparison)}: the mean of {lines[0].samples} noisy "
        "passes over the test set, "
        + (f"with no noise on {without}, " if without else "")
        + f"against one pass of the same weights without noise; {DIFFERENCES}",
        ("method", *heads),
        tuple(
            (
                Cell(line.method),
                *(score_cell(name, line.spread.get(name)) for name in names),
                *(difference(name, line.to_one_pass.get(name)) for name in names),
            )
            for line in lines
        ),
    )


def loss_of(comparison: Comparison) -> str:
    """The loss that a comparison chooses settings by: `nll` or `mse`."""
    names = (validation_loss_name(record.scores) for record in comparison.records)
    return next((name for name in names if name is not None), "nll")


def _main_on_validation(comparison: Comparison) -> str | None:
    """The score beside the loss of a trial; None where only test has another score."""
    trial_scores = [
        record.scores
        for row in comparison.rows
        for trial in row.trials
        for record in trial.records
        if trial.is_finished
    ]
    names = (name for name in metrics(comparison) if name != "test_nll")
    return next(
        (
            n
            for n in names
            if all(n.replace("test", "validation") in scores for scores in trial_scores)
        ),
        None,
    )


def _validation(trial: Trial, main: str | None) -> tuple[Cell, ...]:
    if not trial.is_finished:
        why = next(record.status for record in trial.records if record.status != "finished")
        return (Cell("–", why), *([] if main is None else [Cell("–")]))
    losses = [f"{validation_loss(record.scores):.4f}" for record in trial.records]
    detail = ", ".join(losses) if len(losses) > 1 else ""
    loss = Cell(f"{trial.loss:.4f}", detail)
    if main is None:
        return (loss,)
    score = mean(r.scores[main.replace("test", "validation")] for r in trial.records)
    return loss, Cell(METRICS[main].value(score))


def _runs(line: Line) -> str:
    return "" if line.finished == line.runs else f"{line.finished} of {line.runs} runs finished"


def _seeds(lines: Sequence[Line]) -> str:
    return seeds(max(line.runs for line in lines))


_CLOCKS = {"processor_seconds": "processor time", "seconds": "wall-clock time"}


def price_grid(comparison: Comparison) -> Grid | None:
    """Time of a step, time and memory of a run, and what it gains, of methods and cheaper forms.

    None where no cost is reduced.
    """
    lines, names = prices(comparison), metrics(comparison)
    if not lines:
        return None
    base = comparison.baseline
    heads = ["method", f"a step ÷ {base}", "steps", "a run"]
    heads += [f"Δ {short(name)} to {to}" for to in (base, "full") for name in names]
    return Grid(
        f"{comparison.task}: costs and gains of methods that make fewer second views, "
        f"{rule_sentence(comparison)}; full is the same method with all of them. Ratios are "
        f"of {_CLOCKS[clock(comparison)]} over as many rows, medians over seeds; {DIFFERENCES}",
        tuple(heads),
        tuple(_price_row(line, names) for line in lines),
    )


def _price_row(line: Price, names: Sequence[str]) -> tuple[Cell, ...]:
    ratio = "" if line.to_full is None else f"{line.to_full:.2f} ÷ full"
    return (
        Cell(line.method),
        Cell("" if line.to_baseline is None else f"{line.to_baseline:.2f}", ratio),
        Cell(f"{line.steps:,.0f}"),
        Cell(seconds(line.seconds), megabytes(line.memory)),
        *(
            difference(name, changes.get(name))
            for changes in (line.gain, line.loss)
            for name in names
        ),
    )
