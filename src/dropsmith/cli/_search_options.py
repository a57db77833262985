"""Options of `dropsmith search` alone."""

from typing import Annotated

import typer

Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        min=1,
        help="How many plans are tried, earlier ones counted. Default: 40, or what a recipe says.",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="What proposes plans: controller (learned, as in AutoDropout), random, tpe or "
        "evolution. Default: controller, or what a recipe says.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where children are trained: local (processes here), serial, ray (a cluster started "
        "here), or ray:ADDRESS.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Trials at the same time. Default: one a processor."),
]
Seeds = Annotated[
    int,
    typer.Option("--seeds-per-plan", min=1, help="Children of a plan, whose scores are averaged."),
]
SpaceName = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="auto|conv|sequence",
        help="What may be dropped: tilings of a convolutional network's maps, or runs of steps in "
        "Transformer blocks.",
    ),
]
ExtraPlan = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE|NAME|hf://…",
        help="Rules that every plan has beside those that are searched, such as dropout where the "
        "space has no place for it.",
    ),
]
Pruner = Annotated[
    str | None,
    typer.Option(
        "--pruner", metavar="NAME", help="Stop poor trials early: asha, hyperband or median."
    ),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=1, help="Seconds that one trial may take.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="ADDRESS",
        help="Where the study is kept: a SQLite file, journal:FILE, or "
        "postgresql://USER@HOST/DATABASE. Default: study.db in the folder of the search.",
    ),
]
SearchSeed = Annotated[int, typer.Option("--seed", min=0, help="Decides which plans are proposed.")]
