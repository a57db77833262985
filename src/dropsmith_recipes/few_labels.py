"""CIFAR-10 with 4,000 labels and ImageNet with a tenth of them: Fraternal Dropout and AutoDropout.

Of Zolna et al. (2018) no code for images is public, and no text at hand gives the numbers or the
settings of that section, so that none are given here. Those of AutoDropout with UDA are quoted.
"""

from dataclasses import replace

from dropsmith.models import SMALL_RESNET_PLACES
from dropsmith.objectives import UDA, Fraternal, Objective, PiModel, TaskLoss
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.tasks import NO_LIMIT, Budget, optimisers
from dropsmith_recipes import auto_dropout
from dropsmith_recipes._preset import Preset
from dropsmith_recipes._recipe import Recipe

LABELS = 4_000
IMAGENET_LABELS = 128_116
"""A tenth of the 1,281,167 training pictures."""

_MODELS = "dropsmith_recipes.few_labels_models"
_FRATERNAL = "Zolna et al. (2018), semi-supervised CIFAR-10"

_BUDGET = Budget(
    epochs=200,
    batch_size=64,
    learning_rate=0.1,
    weight_decay=1e-4,
    warmup=0.0,
    clip=None,
    optimiser=optimisers.SGD(momentum=0.9, ahead=True),
)
_CPU = replace(_BUDGET, epochs=4, learning_rate=0.05, clip=1.0)

_UNLIKE_FRATERNAL = (
    "rates, kappa, optimiser, schedule and length of the training are ours, and so is the place of "
    "dropout, between the two convolutions of a block: the paper's could not be established",
    "the labelled images are ours, and 2,000 of the training images are held out; the paper holds "
    "out 5,000",
)


def fraternal_rows() -> tuple[Recipe, ...]:
    """The rows of the section: without and with dropout, and with a term on all images."""
    return (
        _fraternal("resnet-56", "without dropout", TaskLoss(), 0.0),
        _fraternal("dropout-resnet-56", "with dropout", TaskLoss(), 0.1),
        _fraternal(
            "fraternal-resnet-56", "Fraternal Dropout on the labelled", Fraternal(kappa=0.05), 0.05
        ),
        _fraternal(
            "pi-resnet-56-unlabelled",
            "the Π-model on all images",
            PiModel(kappa=0.15, term_rows="all"),
            0.1,
        ),
        _fraternal(
            "fraternal-resnet-56-unlabelled",
            "Fraternal Dropout on all images",
            Fraternal(kappa=0.15, term_rows="all"),
            0.1,
        ),
    )


def _fraternal(name: str, about: str, objective: Objective, rate: float) -> Recipe:
    plan = Plan(rule(SMALL_RESNET_PLACES, Bernoulli(rate=rate))) if rate else Plan()
    paper = Preset(
        model=f"{_MODELS}:resnet_56", plan=plan, budget=_BUDGET, limit=NO_LIMIT, labels=LABELS
    )
    small = replace(paper, model=f"{_MODELS}:resnet_8", budget=_CPU, limit=4_000, labels=1_000)
    return Recipe(
        task="cifar10",
        name=name,
        about=f"ResNet-56 on 4,000 labels, {about}",
        source=_FRATERNAL,
        objective=objective,
        paper=paper,
        cpu=small,
        parameters=853_018,
        unlike=_UNLIKE_FRATERNAL,
    )


def auto_dropout_rows() -> tuple[Recipe, ...]:
    """UDA under a searched plan: CIFAR-10 with 4,000 labels, ImageNet with a tenth of its."""
    return cifar10(), imagenet()


_UNLIKE_UDA = (
    "temperature and threshold are UDA's; batch size, ratio, optimiser, schedule and length of the "
    "training are ours: the paper's are not known",
    "the plan is found by a search with all labels",
)


def cifar10() -> Recipe:
    """CIFAR-10 with 4,000 labels, WRN-28-2."""
    plain = auto_dropout.cifar10_randaugment()
    paper = replace(
        plain.paper,
        model=f"{auto_dropout.MODELS}:wide_28_2",
        budget=replace(plain.paper.budget, epochs=1_000, batch_size=64, learning_rate=0.03),
        labels=LABELS,
        unlabelled_ratio=7,
    )
    return replace(
        plain,
        name="auto-dropout-uda",
        about="UDA on 4,000 labels, a wide residual network under a searched plan",
        source=f"{auto_dropout.PAPER}, CIFAR-10 with 4,000 labels",
        objective=UDA(temperature=0.4, confidence=0.8, average_over="unlabelled"),
        paper=paper,
        cpu=replace(plain.cpu, labels=1_000, unlabelled_ratio=2),
        published_scores=(
            auto_dropout.quoted_score("test_accuracy", 0.958, "CIFAR-10 with 4,000 labels"),
        ),
        parameters=1_467_610,
        unlike=(*plain.unlike, *_UNLIKE_UDA),
    )


def imagenet() -> Recipe:
    """ImageNet with a tenth of its labels, ResNet-50."""
    plain = auto_dropout.imagenet()
    return replace(
        plain,
        name="auto-dropout-uda",
        about="UDA on a tenth of the labels, under a searched plan",
        source=f"{auto_dropout.PAPER}, ImageNet with a tenth of its labels",
        objective=UDA(temperature=0.4, confidence=0.5, average_over="unlabelled"),
        paper=replace(plain.paper, labels=IMAGENET_LABELS, unlabelled_ratio=7),
        cpu=replace(plain.cpu, labels=5_000, unlabelled_ratio=2),
        published_scores=(
            auto_dropout.quoted_score("test_accuracy", 0.729, "ImageNet, a tenth of its labels"),
        ),
        unlike=(*plain.unlike, *_UNLIKE_UDA),
    )
