"""Tables of what the benchmarks measured, out of the JSON files that they write."""

import json
from collections.abc import Iterable
from os.path import relpath
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from uncertainty_tables import differences, views_table, ways_table

Run = dict[str, Any]

THROUGHPUT, COORDINATOR = "search_throughput", "search_coordinator"
WAYS, VIEWS = "monte-carlo-dropout", "stratified-views"
STRATA, FIRST_RUNS, FRACTIONS = "stratified-samples", "first-runs", "attention-fraction"
SAMPLERS, NOISE = "samplers-on-digits", "score-noise-on-digits"
ACTIVE, WRONG = "active-learning-on-digits", "wrong-labels-on-digits"

PICTURES = {
    SAMPLERS: "The best score so far of each sampler, over trials",
    ACTIVE: "Test accuracy over the number of labels, for each way of choosing them",
}
"""What the pictures beside results show."""

RENAMED = {
    "agreeing_head": "fused_linear_consistency",
    "agreeing_attention": "attention_divergence",
}
"""The benchmarks of today by the names under which past runs are filed."""


def measured(results: Path, page: Path) -> dict[str, str]:
    """What stands on a page for each benchmark that has run, by the name in its marker."""
    files = [json.loads(path.read_text()) for path in results.glob("benchmarks/*.json")]
    for run in files:
        if run.get("case") in RENAMED:
            run["case"] = RENAMED[run["case"]]
    cases = _newest(files, "case")
    known = {case: of_cases(runs) for case, runs in cases.items()}
    if THROUGHPUT in cases:
        known[THROUGHPUT] = of_throughput(cases[THROUGHPUT][0])
    simulated = _newest(files, "format").get("dropsmith.search-coordinator")
    if simulated:
        known[COORDINATOR] = of_coordinator(simulated[0])
    strata = _newest(files, "format").get("dropsmith.stratified-samples")
    if strata:
        known[STRATA] = of_strata(strata[0])
    for name, make in ((WAYS, of_ways), (VIEWS, of_views), (FRACTIONS, of_fractions)):
        if newest := _newest(files, "format").get(f"dropsmith.{name}"):
            known[name] = make(newest[0])
    first = _newest(files, "format").get("dropsmith.first-runs")
    if first:
        known[FIRST_RUNS] = of_first_runs(first[0])
    for name, make in ((SAMPLERS, of_samplers), (NOISE, of_noise)):
        path = results / "search" / f"{name}.json"
        if path.exists():
            known[name] = make(json.loads(path.read_text()))
    for name, make in ((ACTIVE, of_active), (WRONG, of_wrong_labels)):
        path = results / "uncertainty" / f"{name}.json"
        if path.exists():
            known[name] = make(json.loads(path.read_text()))
    for name, content in PICTURES.items():
        for picture in results.glob(f"*/{name}.svg"):
            known[name] += _picture(picture, page, content)
    return known


def _newest(runs: list[Run], key: str) -> dict[str, list[Run]]:
    """The newest run on each device, by what stands under `key`."""
    newest: dict[tuple[str, str], Run] = {}
    for run in sorted((run for run in runs if key in run), key=lambda run: run["time"]):
        newest[run[key], run["environment"]["device"]] = run
    found: dict[str, list[Run]] = {}
    for (name, _), run in sorted(newest.items()):
        found.setdefault(name, []).append(run)
    return found


def of_cases(runs: list[Run]) -> str:
    """Times of every way as ratios within one run, with the peak memory of each."""
    return "\n" + "\n\n".join(map(_case, runs)) + "\n"


def _case(run: Run) -> str:
    heads = ("work", "way", "time as a ratio", "target", "peak memory (MB)")
    rows = [(one["key"], *_way(way)) for one in run["comparisons"] for way in one["ways"]]
    count = run["rounds"]
    clock = " of CPU time" if run.get("clock") == "cpu" else ""
    said = f"Medians of {count} rounds{clock}, {_where(run)}"
    return f"{_table(heads, rows, left=2)}\n\n{said}; made by `python -m benchmarks.{run['case']}`."


def _way(way: Run) -> tuple[str, ...]:
    target = "" if way["target"] is None else f"≤ {way['target']:g}"
    missed = bool(target) and way["ratio"] > way["target"]
    ratio = f"{way['ratio']:.2f}" + (" (target not met)" if missed else "")
    return way["name"], ratio, target, f"{way['peak_bytes'] / 1e6:.1f}"


def of_throughput(run: Run) -> str:
    """What a trial takes through each executor."""
    heads = ("work", "way", "ms a trial", "time as a ratio", "target")
    rows = [
        (one["key"], way["name"], _each(one, way), *_way(way)[1:3])
        for one in run["comparisons"]
        for way in one["ways"]
    ]
    said = f"Medians of {run['rounds']} rounds, {_where(run)}"
    made = f"made by `python -m benchmarks.{run['case']}`"
    return f"\n{_table(heads, rows, left=2)}\n\n{said}; {made}.\n"


def _each(comparison: Run, way: Run) -> str:
    # Its name begins with how many trials it runs.
    return f"{1e3 * way['median_seconds'] / int(comparison['name'].split()[0]):.1f}"


def of_coordinator(run: Run) -> str:
    """How fast a coordinator is alone, for each sampler."""
    heads = (
        "sampler",
        "trials a second",
        "proposal (ms)",
        "recording of a score (ms)",
        "peak memory (MB)",
        "stored (MB)",
        "resume (s)",
    )
    rows = [
        (
            one["sampler"],
            f"{one['trials_per_second']:.1f}",
            *(f"{1e3 * one[x]['median']:.1f}, {1e3 * one[x]['p99']:.1f}" for x in ("ask", "tell")),
            *(f"{one[size] / 1e6:.0f}" for size in ("peak_bytes", "stored_bytes")),
            f"{one['resume_seconds']:.1f}",
        )
        for one in run["runs"]
    ]
    one = run["runs"][0]
    said = (
        f"{one['trials']:,} trials of {one['choices']} choices, {one['workers']:,} simulated "
        f"workers, {one['storage']} storage; of proposals and recordings the median and the 99th "
        f"percentile. {_where(run)}; made by `python -m benchmarks.{COORDINATOR}`."
    )
    return f"\n{_table(heads, rows)}\n\n{said}\n"


def of_strata(result: Run) -> str:
    """How many stratified samples have the error of independent ones."""
    heads = ("model", "noise at", "samples", "as a ratio", "error of 50, as a ratio")
    sites = {"one": "one site", "all": "all sites of its plan"}
    rows = [
        (
            row["model"],
            sites[row["noise"]],
            f"{row['samples']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['error_ratio']:.2f}",
        )
        for row in result["rows"]
    ]
    said = (
        "The error is the variance of the mean over predictions with other seeds, "
        f"{result['repetitions']} of each. {_where(result)}; made by "
        "`python -m benchmarks.stratified_samples`."
    )
    return f"\n{_table(heads, rows, left=2)}\n\n{said}\n"


def of_fractions(result: Run) -> str:
    """The spread of a term of attention that is estimated from some of the queries."""
    heads = ("task", "tokens", "share of the queries", "mean", "standard deviation")
    rows = [
        (
            task["name"],
            str(task["tokens"]),
            f"1 / {1 / share['fraction']:.0f}",
            f"{share['mean']:.3f}",
            f"{share['deviation']:.3f}",
        )
        for task in result["tasks"]
        for share in task["shares"]
    ]
    said = (
        f"In units of the term of all queries; {result['rows']} rows, dropout {result['rate']:g}, "
        f"{result['steps']} draws. {_where(result)}; made by "
        "`python -m benchmarks.attention_fraction`."
    )
    return f"\n{_table(heads, rows, left=1)}\n\n{said}\n"


def of_ways(result: Run) -> str:
    """Monte-Carlo dropout against one pass and ensembles."""
    table = _table(*ways_table(result), left=2)
    said = (
        f"Mean ± standard deviation over seeds. {_where(result)}; made by "
        "`python -m benchmarks.monte_carlo_dropout`."
    )
    changes = "\n".join(differences(result))
    return f"\n{table}\n\n{said}\n\nChange of NLL against one pass, paired by seed:\n\n{changes}\n"


def of_views(result: Run) -> str:
    """The variance of the gradient with stratified training views."""
    table = _table(*views_table(result), left=2)
    seeds = len({row["seed"] for row in result["rows"]})
    said = (
        f"Medians of {seeds} trainings; each variance is of {result['repetitions']} gradients. "
        f"{_where(result)}; made by `python -m benchmarks.stratified_views`."
    )
    return f"\n{table}\n\n{said}\n"


def of_first_runs(result: Run) -> str:
    """How long the first runs take on a machine without anything of the project."""
    heads = ("run", "command", "seconds", "processor seconds")
    install = ("pip install -c constraints.txt .", "install")
    extra = ("pip install -c constraints.txt '.[transformers]'", "install_transformers")
    installs = [
        ("installing, once", f"`{command}`", *_seconds(result[key]))
        for command, key in (install, extra)
    ]
    runs = [(run["name"], f"`{run['command']}`", *_seconds(run)) for run in result["runs"]]
    on, load = result["environment"], max(result["load"])
    busy = (
        f" that other work used as well (load up to {load:.0f}, so that the time by the clock is "
        "longer than on free processors)"
        if load > on["processors"]
        else ""
    )
    said = (
        f"Measured on {on['processors']} processors{busy}, in a new environment, with nothing in "
        f"pip's cache. {_where(result)}; made by `python -m benchmarks.first_runs`."
    )
    return f"\n{_table(heads, [*installs, *runs], left=2)}\n\n{said}\n"


def _seconds(took: Run) -> tuple[str, str]:
    return f"{took['seconds']:.0f}", f"{took['processor_seconds']:.0f}"


def of_noise(result: Run) -> str:
    """How much of a plan's score is the seed's."""
    found = result["found"]
    between, within = f"{found['between']:.4f}", f"{found['within']:.4f}"
    share, low, high = (f"{found[name]:.0%}" for name in ("share", "low", "high"))
    return (
        f"\n{found['plans']} random plans of the table's space, {found['seeds']} seeds "
        f"each, {result['task']}; score: {result['score']}.\n\n"
        f"- The standard deviation of the score between plans is {between}, between seeds of one "
        f"plan {within}.\n"
        f"- {share} of the variance of a score with one seed comes from the seed "
        f"(95 % interval {low} to {high}).\n"
        f"- To bring that share down to 20%, average over {found['seeds_for_a_fifth']:.1f} seeds.\n"
    )


def of_samplers(result: Run) -> str:
    """When the median search of each sampler has found how much, and what random search has."""
    length = len(result["curves"][0]["bands"]["0.5"])
    after = [count for count in (10, 30, 100, 300) if count <= length]
    goals = result["needed"].items()
    heads = (
        "sampler",
        *(f"after {n}" for n in after),
        *(f"trials to match {name}" for name, _ in goals),
    )
    rows = [
        (
            one["name"],
            *(f"{one['bands']['0.5'][n - 1]:.4f}" for n in after),
            *(_needed(goal[one["name"]]) for _, goal in goals),
        )
        for one in result["curves"]
    ]
    said = (
        f"Medians of {result['curves'][0]['searches']} searches of {length} trials each over a "
        f"table of {result['plans']} plans; score: {result['score']}, at best "
        f"{result['scores']['best']:.4f}. On the right: the trials until the median search has "
        "the final score of the median search of the named sampler, and how many searches reach it."
    )
    return f"\n{_table(heads, rows)}\n\n{said}\n"


def _needed(goal: Run) -> str:
    trials = "never" if goal["median"] is None else goal["median"]
    return f"{trials} ({goal['searches_that_did']})"


def of_active(result: Run) -> str:
    """The test accuracy by number of labels and way of choosing them."""
    counts, curves = result["labels"], result["accuracy"]
    shown = [place for place, count in enumerate(counts) if count % 40 == 20]
    rows = [
        (way, *(_mean_and_deviation([run[place] for run in runs]) for place in shown))
        for way, runs in curves.items()
    ]
    heads = ("labels chosen by", *(f"{counts[place]} labels" for place in shown))
    seeds = len(next(iter(curves.values())))
    said = (
        f"Test accuracy in per cent, mean ± standard deviation of {seeds} seeds. "
        f"{_where(result)}; made by `{result['command']}`."
    )
    return f"\n{_table(heads, rows)}\n\n{said}\n"


def of_wrong_labels(result: Run) -> str:
    """How many wrong labels stand first in the list, by one pass and by the mean of samples."""
    rows = [
        (
            f"{row['share']:.0%}",
            way,
            _mean_and_deviation([seed[f"{way}: found"] / seed["wrong labels"] for seed in seeds]),
            f"{fmean(seed[f'{way}: area'] for seed in seeds):.4f}",
        )
        for row in result["rows"]
        for seeds in (row["seeds"],)
        for way in ("one pass", "mean of samples")
    ]
    heads = ("wrong labels", "by", "found (%) in a list as long as there are wrong labels", "area")
    said = (
        f"Mean ± standard deviation of {len(result['rows'][0]['seeds'])} seeds. {_where(result)}; "
        f"made by `{result['command']}`."
    )
    return f"\n{_table(heads, rows, left=2)}\n\n{said}\n"


def _mean_and_deviation(shares: list[float]) -> str:
    return f"{100 * fmean(shares):.1f} ± {100 * stdev(shares):.1f}"


def _picture(picture: Path, page: Path, content: str) -> str:
    copy = picture.parents[2] / "docs" / "images" / picture.name
    link = Path(relpath(copy, page.parent)).as_posix()
    return f"\n![{content}]({link})\n"


def _where(run: Run) -> str:
    on = run["environment"]
    return f"{on['gpu'] or on['cpu']}, torch {on['torch']}, {run['time'][:10]}"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], left: int = 1) -> str:
    """A table in Markdown, whose first columns are words and the others numbers."""
    heads = list(heads)
    ruler = ["---"] * left + ["---:"] * (len(heads) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ruler, *rows))
