"""Steps of R-Drop's recipes beside those of the authors, who add what we take the mean of."""

import pytest
import torch
from torch import nn

from dropsmith.objectives import RDrop
from dropsmith.tasks import Budget
from dropsmith.tasks.optimisers import SGD, AdamW
from dropsmith.train.optimisers import optimizer_of
from dropsmith_recipes import RECIPES
from dropsmith_recipes.r_drop import for_summed_losses

PAIRS = {
    "cifar100/vit-b16-r-drop": "cifar100/vit-b16",
    "imagenet/vit-l16-r-drop": "imagenet/vit-l16",
    "cnn-dailymail/bart-large-r-drop": "cnn-dailymail/bart-large",
    "mrpc/bert-base-r-drop": "mrpc/bert-base",
    "wikitext103/adaptive-r-drop": "wikitext103/adaptive",
}


def steps_of(budget, gradients):
    """Where a weight goes by these gradients."""
    weight = nn.Parameter(torch.ones_like(gradients[0]))
    optimizer = optimizer_of(nn.ParameterList([weight]), budget)
    went = []
    for gradient in gradients:
        weight.grad = gradient.clone()
        nn.utils.clip_grad_norm_([weight], budget.clip)
        optimizer.step()
        went.append(weight.detach().clone())
    return went


def assert_same_steps(ours, theirs, length):
    """Ours by the mean of two losses, theirs by their sum, whose gradient is about so long."""
    generator = torch.Generator().manual_seed(0)
    added = [torch.randn(7, generator=generator, dtype=torch.float64) for _ in range(3)]
    scales = (length, 3 * length, 0.2 * length)
    added = [scale * one / one.norm() for scale, one in zip(scales, added, strict=True)]
    means = steps_of(ours, [one / 2 for one in added])
    # Adam adds 1e-6 to a length that is halved here.
    for a, b in zip(means, steps_of(theirs, added), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("twice", "plain"), PAIRS.items())
@pytest.mark.parametrize("length", [0.01, 0.7, 30.0])
def test_steps_by_the_mean_of_two_losses_are_those_by_their_sum(twice, plain, length):
    ours, theirs = (RECIPES[name].paper.budget for name in (twice, plain))
    assert_same_steps(ours, theirs, length)


@pytest.mark.parametrize("optimiser", [AdamW(), SGD(), SGD(momentum=0.9)])
def test_weights_decay_as_those_of_the_authors(optimiser):
    theirs = Budget(
        epochs=1,
        batch_size=1,
        learning_rate=0.1,
        weight_decay=0.3,
        clip=1.0,
        optimiser=optimiser,
    )
    assert_same_steps(for_summed_losses(theirs, RDrop(alpha=1.0)), theirs, 0.7)
