"""Liang, Wu et al. (2021), R-Drop: GLUE with BERT and RoBERTa, on the development sets."""

from dataclasses import dataclass, replace

from dropsmith.models import pretrained_plan, transformer_plan
from dropsmith.objectives import Objective, RDrop, TaskLoss
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Certainty, Preset
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.r_drop import PAPER, for_summed_losses, for_views, published_scores

RATE, ALPHA = 0.1, 0.5
_SOURCE = f"{PAPER}, GLUE development sets; settings from the authors' script"
_UNLIKE = (
    "the coefficient of each task is not known, only that it is of 0.1, 0.5 and 1.0 (remembered)",
    "the metric is taken to be accuracy where the task has no correlation",
    "validation is cut from training and chooses the weights; the development set is the test",
    "the authors' numbers are of the best seeds, ours of all",
    "not in half precision",
)
_STSB = ("predictions are compared by squared difference, as in the paper's appendix",)


@dataclass(frozen=True)
class _Task:
    """The settings of the authors' script for a task, and the numbers that they report.

    Args:
        epochs: the updates of the script times its batch, in passes over the task.
        batch_size: of the script.
        warmup: the share of its updates.
        score: what our records call the number.
        classes: how many scores there are.
        bert, roberta: the number without and with R-Drop, in per cent.
    """

    epochs: int
    batch_size: int
    warmup: float
    score: str
    classes: int
    bert: tuple[float, float]
    roberta: tuple[float, float]


_ACCURACY = "test_accuracy"
_TASKS = {
    "mnli": _Task(10, 32, 0.06, _ACCURACY, 3, (83.8, 85.5), (90.2, 90.9)),
    "mrpc": _Task(10, 16, 0.06, _ACCURACY, 2, (85.3, 87.3), (90.9, 91.4)),
    "qnli": _Task(10, 32, 0.06, _ACCURACY, 2, (90.8, 92.0), (94.7, 95.2)),
    "qqp": _Task(10, 32, 0.25, _ACCURACY, 2, (91.0, 91.4), (92.2, 92.5)),
    "rte": _Task(7, 8, 0.06, _ACCURACY, 2, (68.2, 71.1), (86.6, 88.4)),
    "sst2": _Task(10, 32, 0.06, _ACCURACY, 2, (92.4, 93.0), (96.4, 96.9)),
    "stsb": _Task(10, 16, 0.06, "test_pearson", 1, (89.3, 89.6), (92.4, 92.5)),
    "cola": _Task(10, 16, 0.06, "test_matthews", 2, (62.3, 62.6), (68.0, 70.0)),
}
_QUOTATIONS = {("bert-base", task) for task in ("mrpc", "rte", "cola")} | {
    ("roberta-large", "sst2")
}
"""Numbers with R-Drop that stand in other texts, too."""

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
    percent = (settings.bert if model == "bert-base" else settings.roberta)[is_r_drop]
    certainty: Certainty = "quoted" if is_r_drop and (model, task) in _QUOTATIONS else "remembered"
    paper, cpu = presets(model, task, objective)
    return Recipe(
        task=task,
        name=f"{model}-r-drop" if is_r_drop else model,
        about=f"{CHECKPOINTS[model]}, "
        + ("two views that agree" if is_r_drop else "with its dropout"),
        source=_SOURCE,
        objective=objective,
        paper=paper,
        cpu=cpu,
        published_scores=published_scores(
            [(settings.score, round(percent / 100, 4), certainty)], f"{PAPER}, GLUE", digits=1
        ),
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
