"""Liang, Wu et al. (2021), R-Drop: translation, its tables and what was varied there."""

from dataclasses import replace

from dropsmith.compare import ordinal
from dropsmith.models import seq2seq_plan
from dropsmith.objectives import Objective, RDrop, TaskLoss, TwoSample
from dropsmith.patterns import PerView
from dropsmith.plans import Plan, Rule
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.r_drop import PAPER, Row, for_views, published_scores

ALPHA, RATE = 5.0, 0.3
_MODELS = "dropsmith_recipes.transformer_models"
_SETTINGS = "settings from the authors' script for German to English"

# 300,000 updates of 4,096 tokens, of which 160,239 pairs make about 1,100.
_IWSLT = Budget(
    epochs=273,
    batch_size=4_096,
    learning_rate=5e-4,
    weight_decay=1e-4,
    warmup=4_000 / 300_000,
    clip=None,
    optimiser=optimisers.AdamW(second=0.98),
    schedule=learning_rates.InverseRoot(),
)
# 300,000 updates of 65,536 tokens, of which 4.5 million pairs make about 2,100.
_WMT = replace(
    _IWSLT,
    epochs=145,
    batch_size=65_536,
    learning_rate=1e-3,
    weight_decay=0.0,
    warmup=6_000 / 300_000,
)
_CPU = replace(_IWSLT, epochs=12, batch_size=2_048, learning_rate=2e-3, warmup=0.1, clip=1.0)

_UNLIKE = (
    "300,000 updates are taken for as many epochs as they come to, with the last a part of one",
    "pieces of words are of bytes and learnt here, and BLEU is sacreBLEU's on whole words; the "
    "code splits words at hyphens before it scores, which raises BLEU",
    "label smoothing spreads over all pieces of words",
    "not in half precision",
)
_UNLIKE_BEST = (
    "the best weights are those of the lowest validation loss; the script takes those of the "
    "highest BLEU on validation",
)
_UNLIKE_IWSLT = (
    "settings and epochs are those of German to English, for this direction's own are not known",
)
_UNLIKE_WMT = (
    "a step sees its 65,536 tokens at once; on how many devices the authors had as many is not "
    "known",
    "settings are those the authors gave for English to German when asked, without noise in "
    "attention and activations",
)
_UNLIKE_FRENCH = (
    "settings and epochs are those of English to German, for this direction's own are not known",
)

_DIRECTIONS = ("de-en", "en-de", "fr-en", "en-fr", "zh-en", "en-zh", "es-en", "en-es")
_R_DROP: dict[str, Row] = {
    "de-en": (
        "test_bleu",
        37.25,
        "quoted",
        "leaderboard of IWSLT 2014 German to English on hyper.ai, which quotes the paper",
    )
}
_ABSTRACT = f"{PAPER}, abstract"

_STANDS_IN = {"de-en": "iwslt2017", "en-de": "multi30k", "en-fr": "multi30k"}
"""Data of a size for CPU minutes, in the same direction or from the same language."""


def _iwslt(
    name: str,
    about: str,
    objective: Objective,
    *,
    direction: str = "de-en",
    rows: tuple[Row, ...] = (),
    plan: Plan | None = None,
    place: str = "IWSLT 2014",
) -> Recipe:
    plan = seq2seq_plan("dropout", RATE) if plan is None else plan
    cpu_task = _STANDS_IN.get(direction)
    return Recipe(
        task=f"iwslt14-{direction}",
        name=name,
        about=about,
        source=f"{PAPER}, {place}; {_SETTINGS}",
        objective=objective,
        paper=Preset(model=f"{_MODELS}:translator", plan=plan, budget=for_views(_IWSLT, objective)),
        cpu=Preset(
            model=f"{_MODELS}:small_translator",
            plan=plan,
            budget=for_views(_CPU, objective),
            limit=7_000 if cpu_task is None else 5_000,
            task=cpu_task,
        ),
        published_scores=published_scores(rows),
        parameters=36_663_296,
        unlike=(*_UNLIKE, *_UNLIKE_BEST, *(_UNLIKE_IWSLT if direction != "de-en" else ())),
    )


def tables() -> tuple[Recipe, ...]:
    """Both rows of the eight directions of IWSLT 2014, and of WMT 2014."""
    return (*_iwslt_rows(), *_wmt_rows())


def _iwslt_rows() -> tuple[Recipe, ...]:
    recipes: list[Recipe] = []
    for direction in _DIRECTIONS:
        plain = _iwslt("transformer", "a Transformer with dropout", TaskLoss(), direction=direction)
        agreeing = _iwslt(
            "r-drop",
            "two views that agree",
            RDrop(alpha=ALPHA),
            direction=direction,
            rows=(_R_DROP[direction],) if direction in _R_DROP else (),
        )
        recipes += [plain, agreeing]
    return tuple(recipes)


def _wmt(name: str, about: str, direction: str, objective: Objective, *rows: Row) -> Recipe:
    plan = seq2seq_plan("dropout", 0.1)
    return Recipe(
        task=f"wmt14-{direction}",
        name=name,
        about=about,
        source=f"{PAPER}, WMT 2014; settings as given for English to German",
        objective=objective,
        paper=Preset(
            model=f"{_MODELS}:big_translator", plan=plan, budget=for_views(_WMT, objective)
        ),
        cpu=Preset(
            model=f"{_MODELS}:small_translator",
            plan=plan,
            budget=for_views(_CPU, objective),
            limit=5_000,
            task="multi30k",
        ),
        published_scores=published_scores(rows),
        parameters=209_125_376,
        unlike=(*_UNLIKE, *_UNLIKE_WMT, *(_UNLIKE_FRENCH if direction == "en-fr" else ())),
    )


def _wmt_rows() -> tuple[Recipe, ...]:
    recipes: list[Recipe] = []
    for direction, bleu in {"en-de": 30.91, "en-fr": 43.95}.items():
        recipes.append(
            _wmt("transformer-big", "a large Transformer with dropout", direction, TaskLoss())
        )
        row: Row = ("test_bleu", bleu, "paper", _ABSTRACT)
        recipes.append(
            _wmt("r-drop-big", "two views that agree", direction, RDrop(alpha=ALPHA), row)
        )
    return tuple(recipes)


def ablations() -> tuple[Recipe, ...]:
    """Variations on German to English; their numbers are curves, or could not be looked up."""
    return (*_strengths(), *_steps(), *_views(), *_rates(), *_kinds())


def _strengths() -> tuple[Recipe, ...]:
    return tuple(
        _iwslt(
            f"r-drop-alpha-{alpha}",
            f"two views that agree, coefficient {alpha} in place of 5",
            RDrop(alpha=float(alpha)),
            place="the coefficient",
        )
        for alpha in (1, 3, 7, 10)
    )


def _steps() -> tuple[Recipe, ...]:
    return tuple(
        _iwslt(
            f"r-drop-every-{interval}",
            f"two views that agree at every {ordinal(interval)} step, one view at the others",
            RDrop(alpha=ALPHA, every=interval),
            place="k-step R-Drop",
        )
        for interval in (2, 5, 10)
    )


def _views() -> tuple[Recipe, ...]:
    three = _iwslt(
        "r-drop-views-3",
        "three views that agree in pairs",
        RDrop(alpha=ALPHA, views=3),
        place="m-time R-Drop",
    )
    return (three,)


def _rates() -> tuple[Recipe, ...]:
    """Two rates for two views, each pair of five once: which view has which is the same."""
    rates = (0.1, 0.2, 0.3, 0.4, 0.5)
    pairs = [(a, b) for a in rates for b in rates if a <= b and (a, b) != (RATE, RATE)]
    return tuple(
        _iwslt(
            f"r-drop-rates-{first}-{second}",
            f"two views that agree, dropped at {first} and {second}",
            RDrop(alpha=ALPHA),
            plan=_two_rates(first, second),
            place="two rates",
        )
        for first, second in pairs
    )


def _two_rates(first: float, second: float) -> Plan:
    rules = seq2seq_plan("dropout", RATE).rules
    pattern = PerView(rates=(first, second))
    return Plan(*(Rule(selector=rule.selector, pattern=pattern) for rule in rules))


def _kinds() -> tuple[Recipe, ...]:
    """Not in the paper: what of the term does the work."""
    place = "not in the paper"
    return (
        _iwslt("two-sample", "two views with nothing to agree on", TwoSample(), place=place),
        _iwslt(
            "r-drop-one-sided",
            "one direction of the divergence",
            RDrop(alpha=ALPHA, divergence="forward"),
            place=place,
        ),
        _iwslt(
            "r-drop-held",
            "the first view is a constant in the term",
            RDrop(alpha=ALPHA, stop_gradient=0),
            place=place,
        ),
        _iwslt(
            "r-drop-js",
            "the divergence of Jensen and Shannon",
            RDrop(alpha=ALPHA, divergence="js"),
            place=place,
        ),
    )
