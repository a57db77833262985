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
    parts: list[str] = []
    for paper, claims in groupby(CLAIMS, key=lambda claim: claim.paper):
        parts.append(f"## {paper}")
        parts += [_section(claim, results) for claim in claims]
    return "\n" + "\n\n".join(parts) + "\n"


def _section(claim: Claim, results: Path) -> str:
    found = _differences(claim, results)
    lines = [
        f"### {claim.text.removesuffix('.')}",
        f"Published: {claim.published} ({claim.certainty}).",
        _table(found, results) if found else "Not tested here.",
        f"A test as published would take {claim.beyond}.",
    ]
    return "\n\n".join(lines)


def _differences(claim: Claim, results: Path) -> dict[Evidence, Difference]:
    """The difference of each comparison that exists, corrected among those of the claim."""
    found = {
        evidence: change
        for evidence in claim.evidence
        if (change := _difference(evidence, results)) is not None
    }
    family = {str(number): change for number, change in enumerate(found.values())}
    return dict(zip(found, correct_family(family).values(), strict=True))


def _difference(evidence: Evidence, results: Path) -> Difference | None:
    folder = results / evidence.folder
    if not (folder / FILE).exists():
        return None
    comparison = Comparison.load(folder)
    row = comparison.row(evidence.method)
    reference = comparison.row(evidence.reference)
    if row is None:
        return None
    if evidence.reference == ONE_PASS:
        return difference(row.scores(sampled(evidence.metric)), row.scores(evidence.metric))
    if reference is None:
        return None
    return difference(row.scores(evidence.metric), reference.scores(evidence.metric))


def _table(found: dict[Evidence, Difference], results: Path) -> str:
    rows = tuple(_row(evidence, change, results) for evidence, change in found.items())
    return markdown_table(Grid(_CAPTION, _HEADS, rows)).strip()


def _row(evidence: Evidence, change: Difference, results: Path) -> tuple[Cell, ...]:
    comparison = Comparison.load(results / evidence.folder)
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
