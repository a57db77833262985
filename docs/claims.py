"""The page of claims: what the papers say, what was run here, and what it shows.

Every difference is taken from the Records of a comparison; all differences of one claim are one
family, whose p-values are corrected by Holm's method.
"""

from itertools import groupby
from pathlib import Path

from published_claims import CLAIMS, ONE_PASS, Claim, Evidence

from dropsmith.compare import (
    FILE,
    Comparison,
    Difference,
    Verdict,
    correct_family,
    difference,
    is_method,
    sampled,
    verdict,
)
from dropsmith.report import Cell, Grid, markdown_table
from dropsmith.report.budget_words import rule_words
from dropsmith.report.cells import difference as difference_cell
from dropsmith.report.cells import short

_VERDICTS = {
    Verdict.BETTER: "shows it",
    Verdict.WORSE: "shows the opposite",
    Verdict.BETTER_UNCORRECTED: "does not show it: better, but not after correction",
    Verdict.WORSE_UNCORRECTED: "does not show it: worse, but not after correction",
    Verdict.NO_DIFFERENCE: "does not show it",
    Verdict.NO_INTERVAL: "no verdict: too few seeds",
}

_CAPTION = "Paired by seed, with 95 % intervals"
_HEADS = ("comparison", "what is equal", "difference", "by how much", "seeds", "verdict")


def claims_page(results: Path) -> str:
    """The claims of each paper with their evidence, as Markdown."""
    known = _comparisons(results)
    parts: list[str] = []
    for paper, claims in groupby(CLAIMS, key=lambda claim: claim.paper):
        parts.append(f"## {paper}")
        parts += [_section(claim, known) for claim in claims]
    return "\n" + "\n\n".join(parts) + "\n"


def _comparisons(results: Path) -> dict[str, Comparison]:
    """The comparisons that the claims name and that have been made, by their folders."""
    folders = {evidence.folder for claim in CLAIMS for evidence in claim.evidence}
    made = [folder for folder in sorted(folders) if (results / folder / FILE).exists()]
    return {folder: Comparison.load(results / folder) for folder in made}


def _section(claim: Claim, known: dict[str, Comparison]) -> str:
    found = _differences(claim, known)
    lines = [
        f"### {claim.text.removesuffix('.')}",
        f"Published: {claim.published} ({claim.certainty}).",
        _table(found, known) if found else "Not tested here.",
        f"A test as published would take {claim.beyond}.",
    ]
    return "\n\n".join(lines)


def _differences(claim: Claim, known: dict[str, Comparison]) -> dict[Evidence, Difference]:
    """The difference of each comparison that was made, corrected among those of the claim."""
    found = {
        evidence: change
        for evidence in claim.evidence
        if evidence.folder in known
        and (change := _difference(evidence, known[evidence.folder])) is not None
    }
    family = {str(number): change for number, change in enumerate(found.values())}
    return dict(zip(found, correct_family(family).values(), strict=True))


def _difference(evidence: Evidence, comparison: Comparison) -> Difference | None:
    row = comparison.row(evidence.method)
    reference = comparison.row(evidence.reference)
    for name in (evidence.method, evidence.reference):
        if name != ONE_PASS and comparison.row(name) is None and not is_method(name):
            there = ", ".join(row.method for row in comparison.rows)
            raise ValueError(
                f"a claim names {name!r}, which is no method and not in results/{evidence.folder}: "
                f"{there}"
            )
    if row is None:
        return None
    if evidence.reference == ONE_PASS:
        return difference(row.scores(sampled(evidence.metric)), row.scores(evidence.metric))
    if reference is None:
        return None
    return difference(row.scores(evidence.metric), reference.scores(evidence.metric))


def _table(found: dict[Evidence, Difference], known: dict[str, Comparison]) -> str:
    rows = tuple(
        _row(evidence, change, known[evidence.folder]) for evidence, change in found.items()
    )
    return markdown_table(Grid(_CAPTION, _HEADS, rows)).strip()


def _row(evidence: Evidence, change: Difference, comparison: Comparison) -> tuple[Cell, ...]:
    metric = short(evidence.metric)
    names = f"{evidence.method} − {evidence.reference}"
    if evidence.reference == ONE_PASS:
        names = f"{evidence.method}: mean of samples − one pass"
    size = difference_cell(evidence.metric, change)
    return (
        Cell(f"results/{evidence.folder}"),
        Cell("the weights" if evidence.reference == ONE_PASS else rule_words(comparison)),
        Cell(f"{names}, {metric}"),
        Cell(size.text, size.detail),
        Cell(str(change.pairs)),
        Cell(_VERDICTS[verdict(evidence.metric, change)]),
    )
