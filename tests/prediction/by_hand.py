"""Predictions written out: passes made one by one with the library's keys, and NumPy in float64."""

import numpy as np
import torch

from dropsmith.batches import call
from dropsmith.noise import PREDICTION, ForwardPass, find_noise
from dropsmith.plans import Plan
from dropsmith.prediction import native_plan


def outputs_by_hand(model, batch, samples, *, plan=None, seed=0, stratified=True):
    """What the model returns in each sample: its own dropout and a plan's, pass by pass."""
    rules = (*native_plan(model, batch).rules, *(plan.rules if plan is not None else ()))
    outputs = []
    modes = [(module, module.training) for module in model.modules()]
    with Plan(*rules).installed(model, batch, seed=seed), torch.no_grad():
        noise = find_noise(model)
        model.eval()
        for number in range(samples):
            one = ForwardPass(
                views=(number,),
                domain=PREDICTION,
                step=0,
                sampling=True,
                strata=samples if stratified else 0,
            )
            with noise.passing(one):
                outputs.append(call(model, batch))
    for module, mode in modes:
        module.training = mode
    return outputs


def numbers(tensor):
    return tensor.detach().double().numpy()


def softmax(scores, axis):
    powers = np.exp(scores - scores.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


def entropy(probabilities, axis):
    logs = np.where(probabilities > 0, np.log(np.where(probabilities > 0, probabilities, 1)), 0)
    return -(probabilities * logs).sum(axis)


def check_classes(found, scores, axis, stratified=True):
    """Compare a prediction of classes with the scores of each sample, `[samples, ...]`."""
    each = softmax(numbers(scores), axis + 1 if axis >= 0 else axis)
    compare(found, each, axis, stratified)


def compare(found, each, axis, stratified=True):
    """Compare a prediction with the probabilities of each sample."""
    mean = each.mean(0)
    close(found.mean, mean)
    close(found.variance, each.var(0) if stratified else each.var(0, ddof=1))
    close(found.entropy, entropy(mean, axis))
    own = entropy(each, axis + 1 if axis >= 0 else axis).mean(0)
    close(found.expected_entropy, own)
    close(found.mutual_information, entropy(mean, axis) - own)


def close(found, expected):
    np.testing.assert_allclose(numbers(found), expected, rtol=2e-4, atol=2e-6)
