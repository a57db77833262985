"""Data of a number of classes with one short example, which models are made for to be counted."""

from types import SimpleNamespace

import torch


def data_of(classes):
    part = SimpleNamespace(tensors=lambda: {"source": torch.zeros(1, 1)})
    return SimpleNamespace(classes=classes, train=part, validation=part, test=part)
