"""The samples of a prediction on the command line: a number, or as many as a tolerance takes."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from dropsmith.errors import TaskError, excerpt

SampleCount = int | Literal["auto"]

Samples = Annotated[
    str,
    typer.Option(
        "--samples",
        metavar="NUMBER|auto",
        help="The number of noisy passes that are averaged; auto draws passes until the standard "
        "error of the mean is below --tolerance. For a RUN also 0, which is one pass without "
        "noise.",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        help="With --samples auto, the standard error of a probability that is small enough, 0.01 "
        "by default; for values, as a share of the standard deviation of the samples, 0.1.",
    ),
]


def sample_count(text: str, tolerance: float | None) -> SampleCount:
    """The number of samples that was typed.

    >>> sample_count("50", None), sample_count("auto", 0.02)
    (50, 'auto')

    Raises:
        TaskError: it is no number of samples, or a tolerance was typed beside a number.
    """
    if text != "auto" and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise TaskError(
            f"--samples {excerpt(text)} is no number of samples\n"
            "  give a whole number, such as 50, or auto"
        )
    if tolerance is not None:
        if text != "auto":
            raise TaskError(
                f"--tolerance {tolerance:g} says when --samples auto ends, and it is {text}\n"
                "  leave one of the two out"
            )
        if not 0 < tolerance < float("inf"):
            raise TaskError(
                f"--tolerance {tolerance:g} is a standard error that is never reached\n"
                "  give a number above 0, such as 0.01"
            )
    return "auto" if text == "auto" else int(text)


def samples_in_words(counts: Sequence[int]) -> str:
    """The numbers of samples of some batches.

    >>> samples_in_words([52, 52]), samples_in_words([52, 104, 65])
    ('52', '52 to 104')
    """
    least, most = min(counts), max(counts)
    return str(least) if least == most else f"{least} to {most}"
