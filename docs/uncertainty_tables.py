"""Tables of the benchmarks of prediction: ways to be unsure, and stratified training views."""

from statistics import fmean, median, stdev
from typing import Any

Run = dict[str, Any]

_PERCENT = ("accuracy", "calibration error")


def ways_table(result: Run) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows: a row for each task and way, with mean and deviation over the seeds."""
    heads = (
        "task", "way", "trainings", "passes", "NLL", "accuracy (%) or RMSE",
        "calibration error (%)", "AUROC of errors",
    )  # fmt: skip
    rows = [
        (
            f"{task}, {len(runs)} seeds",
            way,
            f"{costs['trainings']:g}",
            str(costs["passes"]),
            *_cells([run[way] for run in runs]),
        )
        for task, runs in _by_task(result).items()
        for way, costs in result["ways"].items()
        if all(way in run for run in runs)
    ]
    return heads, rows


def differences(result: Run) -> list[str]:
    """A sentence for each task: the change of NLL by each way against one pass, paired by seed."""
    sentences = []
    for task, runs in _by_task(result).items():
        parts = []
        for way in result["ways"]:
            if way == "one pass" or way not in runs[0]:
                continue
            changes = [run[way]["nll"] - run["one pass"]["nll"] for run in runs]
            better = sum(change < 0 for change in changes)
            parts.append(f"{way} {fmean(changes):+.3f} (lower in {better} of {len(changes)} seeds)")
        sentences.append(f"- {task}: {'; '.join(parts)}.")
    return sentences


def views_table(result: Run) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows: the variance with stratified views as a ratio to that with independent."""
    groups: dict[tuple[str, str, float], list[Run]] = {}
    for row in result["rows"]:
        groups.setdefault((row["objective"], row["model"], row["rate"]), []).append(row)
    heads = ("objective", "model", "rate", "masks alone", "masks and batches", "loss")
    rows = [
        (
            objective,
            model,
            f"{rate:g}",
            _ratio(of, "one batch", "variance"),
            _ratio(of, "other batches", "variance"),
            _ratio(of, "one batch", "loss"),
        )
        for (objective, model, rate), of in groups.items()
    ]
    return heads, rows


def _ratio(rows: list[Run], of: str, value: str) -> str:
    ratios = [row[f"{of}, stratified"][value] / row[f"{of}, independent"][value] for row in rows]
    return f"{median(ratios):.2f}"


def _by_task(result: Run) -> dict[str, list[Run]]:
    tasks: dict[str, list[Run]] = {}
    for row in result["rows"]:
        tasks.setdefault(row["task"], []).append(row["ways"])
    return tasks


def _cells(measures: list[Run]) -> tuple[str, ...]:
    quality = "accuracy" if "accuracy" in measures[0] else "rmse"
    names = ("nll", quality, "calibration error", "auroc")
    return tuple(_cell([measure[name] for measure in measures], name) for name in names)


def _cell(values: list[float], name: str) -> str:
    scale, digits = (100, 1) if name in _PERCENT else (1, 3)
    spread = f" ± {scale * stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{scale * fmean(values):.{digits}f}{spread}"
