"""Liang, Wu et al. (2021), R-Drop: GLUE with BERT and RoBERTa, on the development sets."""

from dataclasses import dataclass, replace

from dropsmith.models import pretrained_plan, transformer_plan
from dropsmith.objectives import Objective, RDrop, TaskLoss
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.r_drop import PAPER, Row, for_summed_losses, for_views, published_scores

RATE, ALPHA = 0.1, 0.5
_SOURCE = f"{PAPER}, GLUE development sets; settings from the authors' script"
_UNLIKE = (
    "the paper's coefficient for each task is not known: 0.5 is taken",
    "the metric is taken to be accuracy where the task has no correlation",
    "validation is cut from training and chooses the weights; the development set is the test",
    "the authors' numbers are of the best seeds, ours of all",
    "not in half precision",
)
_STSB = ("predictions are compared by squared difference, as in the paper's appendix",)


@dataclass(frozen=True)
class _Task:
    """The settings of the authors' script for a task.

    Args:
        epochs: the updates of the script times its batch, in passes over the task.
        batch_size: of the script.
        warmup: the share of its updates.
        score: what our records call the score of the task.
        classes: how many scores there are.
    """

    epochs: int
    batch_size: int
    warmup: float
    score: str
    classes: int


_ACCURACY = "test_accuracy"
_TASKS = {
    "mnli": _Task(10, 32, 0.06, _ACCURACY, 3),
    "mrpc": _Task(10, 16, 0.06, _ACCURACY, 2),
    "qnli": _Task(10, 32, 0.06, _ACCURACY, 2),
    "qqp": _Task(10, 32, 0.25, _ACCURACY, 2),
    "rte": _Task(7, 8, 0.06, _ACCURACY, 2),
    "sst2": _Task(10, 32, 0.06, _ACCURACY, 2),
    "stsb": _Task(10, 16, 0.06, "test_pearson", 1),
    "cola": _Task(10, 16, 0.06, "test_matthews", 2),
}
_ISSUE = "issue 30 of github.com/dropreg/R-Drop, which quotes the paper"
_BOARD = "leaderboard of GLUE on wizwand.com, which quotes the paper"
_FAIRSEQ = "examples/roberta/README.md of fairseq: single models on the development sets"
_PERCENT: dict[tuple[str, str], tuple[float, str]] = {
    ("mrpc", "bert-base-r-drop"): (87.3, _ISSUE),
    ("rte", "bert-base-r-drop"): (71.1, _ISSUE),
    ("cola", "bert-base-r-drop"): (62.6, _ISSUE),
    ("sst2", "roberta-large-r-drop"): (96.9, _BOARD),
    ("mnli", "roberta-large"): (90.2, _FAIRSEQ),
    ("qnli", "roberta-large"): (94.7, _FAIRSEQ),
    ("qqp", "roberta-large"): (92.2, _FAIRSEQ),
    ("rte", "roberta-large"): (86.6, _FAIRSEQ),
    ("sst2", "roberta-large"): (96.4, _FAIRSEQ),
    ("mrpc", "roberta-large"): (90.9, _FAIRSEQ),
    ("cola", "roberta-large"): (68.0, _FAIRSEQ),
    ("stsb", "roberta-large"): (92.4, _FAIRSEQ),
}
"""The numbers that were found in a text, by task and name of the recipe. Those of RoBERTa without
R-Drop are of its own authors."""

CHECKPOINTS = {"bert-base": "bert-base-cased", "roberta-large": "FacebookAI/roberta-large"}
# Without a head: 28,996 and 50,265 words.
_BODY = {"bert-base": 108_310_272, "roberta-large": 354_310_144 + 1_024 * 1_024 + 1_024}
_WIDTH = {"bert-base": 768, "roberta-large": 1_024}


def fine_tuning(task: str) -> Budget:
    """The authors' budget of a task."""
    settings = _TASKS[task]
    return Budget(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=1e-5,
        weight_decay=0.01,
        warmup=settings.warmup,
        optimiser=optimisers.AdamW(second=0.98, least=1e-6),
        schedule=learning_rates.Linear(),
    )


def from_scratch(task: str) -> Budget:
    """Ours for a small model that was never trained before."""
    return replace(fine_tuning(task), epochs=5, batch_size=32, learning_rate=1e-3, warmup=0.1)


def presets(model: str, task: str, objective: Objective, limit: int = 0) -> tuple[Preset, Preset]:
    """The pretrained model on the whole task, and the task's own small one on what it takes."""
    paper = Preset(
        model=CHECKPOINTS[model],
        plan=pretrained_plan("dropout", RATE),
        budget=for_summed_losses(for_views(fine_tuning(task), objective), objective),
        limit=limit,
    )
    cpu = Preset(
        model=None,
        plan=transformer_plan("dropout", RATE),
        budget=for_views(from_scratch(task), objective),
        limit=limit or None,
    )
    return paper, cpu


def parameters(model: str, task: str) -> int:
    """Those of a pretrained model with the task's head."""
    return _BODY[model] + (_WIDTH[model] + 1) * _TASKS[task].classes


def _recipe(model: str, task: str, objective: Objective) -> Recipe:
    settings, is_r_drop = _TASKS[task], not isinstance(objective, TaskLoss)
    name = f"{model}-r-drop" if is_r_drop else model
    rows: list[Row] = []
    if (task, name) in _PERCENT:
        percent, place = _PERCENT[task, name]
        rows.append((settings.score, round(percent / 100, 4), "quoted", place))
    paper, cpu = presets(model, task, objective)
    return Recipe(
        task=task,
        name=name,
        about=f"{CHECKPOINTS[model]}, "
        + ("two views that agree" if is_r_drop else "with its dropout"),
        source=_SOURCE,
        objective=objective,
        paper=paper,
        cpu=cpu,
        published_scores=published_scores(rows, digits=1),
        parameters=parameters(model, task),
        unlike=(*_UNLIKE, *(_STSB if task == "stsb" else ())),
    )


def tables() -> tuple[Recipe, ...]:
    """Eight tasks, two models, without and with R-Drop."""
    return tuple(
        _recipe(model, task, objective)
        for task in _TASKS
        for model in CHECKPOINTS
        for objective in (TaskLoss(), _agreeing(task))
    )


def _agreeing(task: str) -> RDrop:
    return RDrop(alpha=ALPHA, kind="regression" if task == "stsb" else "classification")
