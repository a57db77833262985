"""Steps of R-Drop's recipes beside those of the authors, who add what we take the mean of."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dropsmith.train.optimisers import optimizer_of
from dropsmith_recipes import RECIPES

PAIRS = {
    "cifar100/vit-b16-r-drop": "cifar100/vit-b16",
    "imagenet/vit-l16-r-drop": "imagenet/vit-l16",
    "cnn-dailymail/bart-large-r-drop": "cnn-dailymail/bart-large",
    "mrpc/bert-base-r-drop": "mrpc/bert-base",
    "wikitext103/adaptive-r-drop": "wikitext103/adaptive",
}


def steps_of(budget, gradients):
    """Where a weight goes by these gradients, without decay."""
    weight = nn.Parameter(torch.zeros_like(gradients[0]))
    optimizer = optimizer_of(nn.ParameterList([weight]), replace(budget, weight_decay=0.0))
    went = []
    for gradient in gradients:
        weight.grad = gradient.clone()
        nn.utils.clip_grad_norm_([weight], budget.clip)
        optimizer.step()
        went.append(weight.detach().clone())
    return went


@pytest.mark.parametrize(("twice", "plain"), PAIRS.items())
@pytest.mark.parametrize("length", [0.01, 0.7, 30.0])
def test_steps_by_the_mean_of_two_losses_are_those_by_their_sum(twice, plain, length):
    generator = torch.Generator().manual_seed(0)
    added = [torch.randn(7, generator=generator, dtype=torch.float64) for _ in range(3)]
    scales = (length, 3 * length, 0.2 * length)
    added = [scale * one / one.norm() for scale, one in zip(scales, added, strict=True)]
    ours, theirs = (RECIPES[name].paper.budget for name in (twice, plain))
    means = steps_of(ours, [one / 2 for one in added])
    # Adam adds 1e-6 to a length that is halved here.
    for a, b in zip(means, steps_of(theirs, added), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)
