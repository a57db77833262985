"""What stands in each cell of the comparison's tables, for any of the ways of showing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from dropsmith.compare import Comparison, Setting, Trial, spelled
from dropsmith.compare.statistics import Difference, Spread
from dropsmith.compare.summary import Line, metrics, sampled, summarise
from dropsmith.record import chosen_by, validation_loss
from dropsmith.report.numbers import LOSSES, METRICS, megabytes, p_value, seconds


@dataclass(frozen=True)
class Cell:
    """A text, lines below it in smaller letters, and `better` or `worse` where that is clear."""

    text: str
    detail: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Grid:
    """A table: its caption, the heads of its columns, its rows; the first cell names the row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, which are read from the right."""
        return any(row[column].text[:1] in tuple("+−0123456789") for row in self.rows)


def main_grid(comparison: Comparison) -> Grid:
    """Method, setting, scores, differences to the baseline, time and memory."""
    names, lines = metrics(comparison), summarise(comparison)
    tested = any(line.p for line in lines)
    heads = ["method", "setting", *(METRICS[name].head for name in names)]
    heads += [f"Δ {short(name)} to {comparison.baseline}" for name in names]
    heads.append("a run")
    return Grid(
        f"{comparison.task}: mean ± standard deviation over {_seeds(lines)}; "
        f"differences are paired by seed, with 95 % intervals"
        + (", p-values corrected by Holm's method" if tested else "")
        + "".join(f"; {name}: {signature}" for name, signature in _signatures(comparison)),
        tuple(heads),
        tuple(_main_row(line, names) for line in lines),
    )


def _signatures(comparison: Comparison) -> list[tuple[str, str]]:
    """How scores of written texts were computed, each way once."""
    signed = [
        record.environment.get("signatures", {})
        for row in comparison.rows
        for record in row.finished
    ]
    return sorted({pair for one in signed for pair in one.items()})


def _main_row(line: Line, names: Sequence[str]) -> tuple[Cell, ...]:
    cells = [Cell(line.method, _runs(line)), _setting(line.setting)]
    cells += [_score(name, line.spread.get(name)) for name in names]
    cells += [difference(name, line.to_baseline.get(name), line.p.get(name)) for name in names]
    return (*cells, Cell(seconds(line.seconds), megabytes(line.memory)))


def control_grid(comparison: Comparison) -> Grid | None:
    """What agreeing adds to seeing two views: differences to the two-sample control."""
    names = metrics(comparison)
    lines = [line for line in summarise(comparison) if line.to_control]
    if not lines:
        return None
    return Grid(
        "What the agreement of views adds: differences to the two-sample control, which sees as "
        "many views and has nothing to agree on",
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
            Cell(spelled(trial.setting)),
            *_validation(trial, main),
            chosen,
        )
        for row in comparison.rows
        for trial in row.trials
        for chosen in [Cell("chosen" if trial.setting == row.setting else "")]
    ]
    if not rows:
        return None
    called = LOSSES[loss_of(comparison)]
    score = [] if main is None else [METRICS[main].head.replace("test", "validation")]
    heads = ("method", "setting", f"validation {called}", *score, "")
    tried = max(len(trial.records) for row in comparison.rows for trial in row.trials)
    seeds = "a seed that is" if tried == 1 else f"each of {tried} seeds that are"
    caption = f"Settings tried, once with {seeds} not reported; least mean {called} is chosen"
    return Grid(caption, heads, tuple(rows))


def sampled_grid(comparison: Comparison) -> Grid | None:
    """What averaging noisy passes adds: scores of the mean, and differences to one pass."""
    names, lines = metrics(comparison), sampled(comparison)
    if not lines:
        return None
    heads = [f"{METRICS[name].head} of the mean" for name in names]
    heads += [f"Δ {short(name)} to one pass" for name in names]
    without = " and ".join(lines[0].without)
    return Grid(
        f"Monte-Carlo dropout: the mean of {lines[0].samples} noisy passes over the test set, "
        + (f"with no noise on {without}, " if without else "")
        + "against one pass of the same weights without noise",
        ("method", *heads),
        tuple(
            (
                Cell(line.method),
                *(_score(name, line.spread.get(name)) for name in names),
                *(difference(name, line.to_one_pass.get(name)) for name in names),
            )
            for line in lines
        ),
    )


def loss_of(comparison: Comparison) -> str:
    """What choices were made by in this comparison: `nll` or `mse`."""
    found = (chosen_by(record.scores) for record in comparison.records)
    return next((name for name in found if name is not None), "nll")


def _main_on_validation(comparison: Comparison) -> str | None:
    """What stands beside the loss of a trial; None where only test is scored by anything else."""
    finished = [
        one.scores
        for row in comparison.rows
        for trial in row.trials
        for one in trial.records
        if trial.finished
    ]
    names = (name for name in metrics(comparison) if name != "test_nll")
    return next(
        (n for n in names if all(n.replace("test", "validation") in one for one in finished)), None
    )


def _validation(trial: Trial, main: str | None) -> tuple[Cell, ...]:
    if not trial.finished:
        why = next(one.status for one in trial.records if one.status != "finished")
        return (Cell("–", why), *([] if main is None else [Cell("–")]))
    each = [f"{validation_loss(one.scores):.4f}" for one in trial.records]
    detail = ", ".join(each) if len(each) > 1 else ""
    loss = Cell(f"{trial.loss:.4f}", detail)
    if main is None:
        return (loss,)
    score = fmean(one.scores[main.replace("test", "validation")] for one in trial.records)
    return loss, Cell(METRICS[main].value(score))


def _setting(setting: Setting) -> Cell:
    first, *rest = [spelled({name: value}) for name, value in setting.items()]
    return Cell(first, ", ".join(rest))


def _score(name: str, spread: Spread | None) -> Cell:
    if spread is None:
        return Cell("–")
    return Cell(METRICS[name].value(spread.mean), METRICS[name].deviation(spread))


def difference(name: str, found: Difference | None, p: float | None = None) -> Cell:
    """A difference of a metric with its interval, and its p-value where there is one."""
    if found is None:
        return Cell("")
    metric = METRICS[name]
    detail = metric.interval(found) + (f"\np {p_value(p)}" if p is not None else "")
    return Cell(metric.change(found.mean), detail, metric.verdict(found))


def short(name: str) -> str:
    """What a metric is called in the head of a difference."""
    return _SHORT.get(name, name.removeprefix("test_"))


_SHORT = {
    "test_nll": "NLL",
    "test_rmse": "RMSE",
    "test_f1": "F1",
    "test_bleu": "BLEU",
    "test_rougel": "ROUGE-L",
    "test_rouge1": "ROUGE-1",
    "test_rouge2": "ROUGE-2",
    "test_matthews": "Matthews",
    "test_pearson": "Pearson",
    "test_spearman": "Spearman",
}


def _runs(line: Line) -> str:
    return "" if line.finished == line.runs else f"{line.finished} of {line.runs} runs finished"


def _seeds(lines: Sequence[Line]) -> str:
    count = max(line.runs for line in lines)
    return f"{count} seed{'s' if count > 1 else ''}"
