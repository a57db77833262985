"""Options of `dropsmith search` alone."""

from typing import Annotated

import typer

Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        min=1,
        help="The number of plans to try, those of earlier calls included. Default: 40, or the "
        "number of a recipe.",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="The sampler that proposes plans: controller (learned, as in AutoDropout), random, "
        "tpe or evolution; or myfile:NAME, one of your own. Default: controller, or the sampler of "
        "a recipe.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where models are trained: local (processes on this machine), serial, "
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
        help="The number of models that are trained for each plan, whose scores are averaged.",
    ),
]
SpaceName = Annotated[
    str,
    typer.Option(
        "--space",
        metavar="auto|conv|sequence|units",
        help="The kind of patterns: tiles on the feature maps of a convolutional network, spans of "
        "steps in Transformer blocks, or units and weights of fully connected layers.",
    ),
]
ExtraPlan = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="FILE|NAME|hf://…",
        help="Rules that are added to every plan that is tried, such as dropout at places that are "
        "not searched.",
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
