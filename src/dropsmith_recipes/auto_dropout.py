"""Pham & Le (2021), AutoDropout: a plan is searched on a small run, and a large one takes it.

No code of the paper is public. Its numbers stand here as other texts quote them; the settings of
search and training are ours, which each recipe says.
"""

from dataclasses import replace

from dropsmith.objectives import TaskLoss
from dropsmith.plans import Plan
from dropsmith.tasks import NO_LIMIT, Budget, optimisers
from dropsmith_recipes._preset import Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.proxy import Proxy

NAME = "auto-dropout"
PAPER = "Pham & Le (2021)"
MODELS = "dropsmith_recipes.auto_dropout_models"
TRIALS = 400
"""Plans that a search of the paper's size tries here; how many the authors tried is not known."""

OUR_CHOICES = (
    "the values of the tokens, the controller, how many plans are tried and how long a child is "
    "trained are ours: the paper's are not known",
    "optimiser, schedule and length of the final training are ours",
    "plans are scored by validation loss; the abstract says validation performance",
)

_WIDE = Budget(
    epochs=200,
    batch_size=128,
    learning_rate=0.1,
    weight_decay=5e-4,
    warmup=0.0,
    clip=None,
    optimiser=optimisers.SGD(momentum=0.9, ahead=True),
)
_WIDE_CPU = replace(_WIDE, epochs=10, batch_size=64, clip=1.0)


def quoted_score(score: str, value: float, place: str, digits: int = 1) -> PublishedScore:
    """A number that another text quotes from the paper."""
    source = f"{PAPER}, {place}, as quoted elsewhere"
    return PublishedScore(score=score, value=value, certainty="quoted", source=source)


def tables() -> tuple[Recipe, ...]:
    """Images and language models; a plan carried to translation is in `auto_dropout_transfer`."""
    images = (cifar10(), cifar10_randaugment(), resnet(), imagenet())
    return (*images, penn_treebank(), wikitext2())


def cifar10() -> Recipe:
    """CIFAR-10, WRN-28-10; the search is on WRN-28-2."""
    return _cifar10("cifar10-wrn-augmented", "flips and crops", 0.968)


def cifar10_randaugment() -> Recipe:
    """The same on images that are changed by RandAugment as well."""
    return replace(
        _cifar10("cifar10-wrn-randaugment", "flips, crops and RandAugment", 0.979),
        unlike=(
            *_UNLIKE_CIFAR,
            "RandAugment is kornia's: two operations of magnitude 15 of 30, drawn for eight images "
            "at a time; those of the paper are not known",
        ),
    )


_UNLIKE_CIFAR = (
    *OUR_CHOICES,
    "a search holds out 2,000 of the 50,000 training images, the paper's 5,000",
)


def _cifar10(task: str, augmentation: str, accuracy: float) -> Recipe:
    proxy = Proxy(
        task=task,
        model=f"{MODELS}:wide_28_2",
        budget=replace(_WIDE, epochs=50),
        space="conv",
        trials=TRIALS,
        limit=NO_LIMIT,
    )
    small = replace(proxy, model=None, budget=replace(_WIDE_CPU, epochs=3), trials=20, limit=2_000)
    paper = Preset(
        model=f"{MODELS}:wide_28_10",
        plan=Plan(),
        budget=_WIDE,
        limit=NO_LIMIT,
        search=proxy,
        whole=True,
    )
    return Recipe(
        task=task,
        name=NAME,
        about=f"a wide residual network under a searched plan, {augmentation}",
        source=f"{PAPER}, CIFAR-10",
        objective=TaskLoss(),
        paper=paper,
        cpu=replace(paper, model=None, budget=_WIDE_CPU, limit=5_000, search=small),
        published_scores=(quoted_score("test_accuracy", accuracy, "CIFAR-10"),),
        parameters=36_479_194,
        unlike=_UNLIKE_CIFAR,
    )


_PHOTOGRAPHS = Budget(
    epochs=90,
    batch_size=256,
    learning_rate=0.1,
    weight_decay=1e-4,
    warmup=0.05,
    clip=None,
    optimiser=optimisers.SGD(momentum=0.9, ahead=True),
)
_PHOTOGRAPHS_CPU = replace(_PHOTOGRAPHS, epochs=5, batch_size=16, learning_rate=0.02, clip=1.0)


def imagenet() -> Recipe:
    """ImageNet, ResNet-50; the search is on 80,000 of its pictures."""
    plain = resnet()
    proxy = Proxy(
        task="imagenet",
        model=f"{MODELS}:resnet_50",
        budget=replace(_PHOTOGRAPHS, epochs=30),
        space="conv",
        trials=TRIALS,
        limit=80_000,
    )
    small = replace(
        proxy, model=f"{MODELS}:resnet_small", budget=_PHOTOGRAPHS_CPU, trials=20, limit=None
    )
    return replace(
        plain,
        name=NAME,
        about="the same under a searched plan",
        paper=replace(plain.paper, search=proxy),
        cpu=replace(plain.cpu, search=small),
        published_scores=(quoted_score("test_accuracy", 0.787, "ImageNet"),),
        unlike=OUR_CHOICES,
    )


def resnet() -> Recipe:
    """ImageNet, ResNet-50 without dropout: what the paper compares with."""
    paper = Preset(model=f"{MODELS}:resnet_50", plan=Plan(), budget=_PHOTOGRAPHS, whole=True)
    return Recipe(
        task="imagenet",
        name="resnet-50",
        about="ResNet-50 without dropout",
        source=f"{PAPER}, ImageNet",
        objective=TaskLoss(),
        paper=paper,
        cpu=replace(paper, model=f"{MODELS}:resnet_small", budget=_PHOTOGRAPHS_CPU),
        published_scores=(quoted_score("test_accuracy", 0.765, "ImageNet"),),
        parameters=25_557_032,
        unlike=("optimiser, schedule and length of the training are ours",),
    )


_TEXT = Budget(
    epochs=100,
    batch_size=32,
    learning_rate=5e-4,
    weight_decay=0.01,
    clip=0.25,
    window=70,
)
_TEXT_CPU = replace(_TEXT, epochs=10, batch_size=16, learning_rate=2e-3, clip=1.0, window=32)


def penn_treebank() -> Recipe:
    """Penn Treebank, Transformer-XL; the search is on the small one of the task."""
    return replace(
        _text("penn-treebank-xl", "Penn Treebank"),
        published_scores=(
            quoted_score("validation_perplexity", 58.1, "Penn Treebank"),
            quoted_score("test_perplexity", 54.9, "Penn Treebank"),
        ),
        parameters=24_025_360,
    )


def wikitext2() -> Recipe:
    """WikiText-2, Transformer-XL; the paper has a number, which could not be established."""
    return replace(_text("wikitext2-xl", "WikiText-2"), parameters=33_359_838)


def _text(task: str, place: str) -> Recipe:
    proxy = Proxy(
        task=task,
        budget=replace(_TEXT_CPU, epochs=20, window=70),
        space="sequence",
        trials=TRIALS,
        limit=NO_LIMIT,
    )
    small = replace(proxy, budget=replace(_TEXT_CPU, epochs=3), trials=20, limit=20_000)
    paper = Preset(
        model=f"{MODELS}:transformer_xl", plan=Plan(), budget=_TEXT, limit=NO_LIMIT, search=proxy
    )
    return Recipe(
        task=task,
        name=NAME,
        about="a Transformer-XL under a searched plan",
        source=f"{PAPER}, {place}",
        objective=TaskLoss(),
        paper=paper,
        cpu=replace(paper, model=None, budget=_TEXT_CPU, limit=100_000, search=small),
        unlike=(
            *OUR_CHOICES,
            "the network's shape is ours, with as many parameters as Dai et al. (2019) report for "
            "theirs on the Penn Treebank; it normalises before each part",
            "segments of 70 words and a memory of 150, in training and in what is reported",
            "weights are the best of one run, not an average",
        ),
    )
