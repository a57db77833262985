"""The sweep's table in Markdown: counts by check, and every line that does not just work."""

from collections import Counter
from pathlib import Path
from typing import Any

VERDICTS = ("works", "refuses", "fails", "wrong", "skipped")
Line = dict[str, Any]


def write_table(lines: list[Line], path: Path) -> None:
    """Write the table of classes that were run."""
    tried = [line for line in lines if "checks" in line]
    untried = [line for line in lines if "checks" not in line]
    parts = [
        "# Model classes of transformers",
        f"{len(tried)} classes ran; {len(untried)} were not tried, for no small model or batch of "
        "them was found on which the class itself runs.",
        _counts(tried),
        *(_listing(tried, verdict) for verdict in ("wrong", "fails", "refuses", "skipped")),
        _untried(untried),
    ]
    path.write_text("\n\n".join(part for part in parts if part) + "\n")


def _counts(tried: list[Line]) -> str:
    counts = Counter((c["check"], c["verdict"]) for line in tried for c in line["checks"])
    names = list(dict.fromkeys(c["check"] for line in tried for c in line["checks"]))
    rows = [[name, *(str(counts[name, verdict]) for verdict in VERDICTS)] for name in names]
    return _table(["check", *VERDICTS], rows)


def _listing(tried: list[Line], verdict: str) -> str:
    """The classes of each cause together."""
    causes: dict[tuple[str, str, str], list[str]] = {}
    for line in tried:
        for check in line["checks"]:
            if check["verdict"] == verdict:
                cause = check["check"], check["detail"], check["where"]
                causes.setdefault(cause, []).append(line["name"])
    rows = [
        [check, detail.replace("|", "\\|"), where, ", ".join(names)]
        for (check, detail, where), names in sorted(causes.items(), key=lambda x: -len(x[1]))
    ]
    return f"## {verdict}\n\n" + _table(["check", "", "where", "classes"], rows) if rows else ""


def _untried(lines: list[Line]) -> str:
    rows = [[line["name"], line["reason"].replace("|", "\\|")] for line in lines]
    return "## Not tried\n\n" + _table(["class", "reason"], rows) if rows else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
