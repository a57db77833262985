"""Options of `dropsmith search` alone."""

from typing import Annotated

import typer

Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        min=1,
        help="The number of plans that are tried, earlier ones counted. Default: 40, or the number "
        "of a recipe.",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="The sampler that proposes plans: controller (learned, as in AutoDropout), random, "
        "tpe or evolution. Default: controller, or the sampler of a recipe.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="The place in which children are trained: local (processes on this machine), serial, "
        "ray (a cluster that is started here), or ray:ADDRESS.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="The number of trials at the same time. Default: one for each processor.",
    ),
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds-per-plan",
        min=1,
        help="The number of children of a plan, whose scores are averaged.",
    ),
]
SpaceName = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="auto|conv|sequence",
        help="The kind of patterns: tilings of a convolutional network's maps, or runs of steps in "
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
    float | None,
    typer.Option("--timeout", min=1, help="The number of seconds that one trial may take."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="ADDRESS",
        help="The storage of the study: a SQLite file, journal:FILE, or "
        "postgresql://USER@HOST/DATABASE. Default: study.db in the folder of the search.",
    ),
]
SearchSeed = Annotated[
    int, typer.Option("--seed", min=0, help="The seed that decides which plans are proposed.")
]
