"""Ni et al. (2024), LR-Drop: what each part adds, where it looks, and how much data there is.

No code is public, and no number of its tables could be established: every setting is ours.
"""

from dropsmith.objectives import LRDrop, Objective, RDrop, TaskLoss
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.r_drop_glue import parameters, presets

MODEL = "bert-base"
SIZES = (500, 1_000, 3_000, 10_000)
"""Training examples of the curve; a recipe without a size has all of them."""

_PAPER = "Ni et al. (2024, arXiv 2402.16361)"
_UNLIKE = (
    "no code is public: coefficients, reductions, distances and where layers are read are ours",
    "that the paper tunes this task is taken for granted; its numbers could not be established",
    "optimiser and length are those of R-Drop's script",
)


def _recipe(task: str, name: str, about: str, objective: Objective, limit: int = 0) -> Recipe:
    paper, cpu = presets(MODEL, task, objective, limit)
    return Recipe(
        task=task,
        name=name,
        about=about,
        source=f"{_PAPER}; settings of ours",
        objective=objective,
        paper=paper,
        cpu=cpu,
        parameters=parameters(MODEL, task),
        unlike=_UNLIKE,
    )


def parts() -> tuple[Recipe, ...]:
    """Outputs alone are R-Drop; then hidden states, attention, and both beside them."""
    rows = {
        "lr-drop-output": ("outputs alone should agree", LRDrop(hidden=0, attention=0)),
        "lr-drop-hidden": ("outputs and hidden states should agree", LRDrop(attention=0)),
        "lr-drop-attention": ("outputs and attention should agree", LRDrop(hidden=0)),
        "lr-drop": ("outputs, hidden states and attention should agree", LRDrop()),
    }
    return tuple(_recipe("mrpc", name, *row) for name, row in rows.items())


def choices() -> tuple[Recipe, ...]:
    """Variants of the layers that are read, and of their comparison."""
    rows = {
        "lr-drop-last-layer": ("of the last block alone", LRDrop(layers=(-1,))),
        "lr-drop-blocks": ("hidden states of whole blocks", LRDrop(hidden_at="block")),
        "lr-drop-cosine": ("hidden states by their angle", LRDrop(hidden_distance="cosine")),
        "lr-drop-attention-kl": (
            "attention by symmetric KL",
            LRDrop(attention_distance="symmetric_kl"),
        ),
        "lr-drop-held": ("the first view is a constant", LRDrop(stop_gradient=0)),
    }
    return tuple(_recipe("mrpc", name, *row) for name, row in rows.items())


def curve() -> tuple[Recipe, ...]:
    """One task with ever more training examples, by three methods."""
    methods: dict[str, tuple[str, Objective]] = {
        "dropout": ("dropout", TaskLoss()),
        "r-drop": ("two views that agree", RDrop(alpha=1.0)),
        "lr-drop": ("two views that agree layer by layer", LRDrop()),
    }
    return tuple(
        _recipe("sst2", f"{name}-{size}", f"{about}, {size:,} examples", objective, size)
        for size in SIZES
        for name, (about, objective) in methods.items()
    )
