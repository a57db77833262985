"""What the hooks give back, and when they stay out."""

import pytest
import torch
from torch import nn

import dropsmith as ds
from consistency.tiny import PLAN, X, Y, net, of_rows
from dropsmith.consistency import ConsistentOutput, consistent
from dropsmith.errors import ObjectiveError, ViewError
from dropsmith.objectives import RDrop


def model() -> nn.Module:
    return consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN)


def test_a_plain_module_returns_a_loss_and_the_scores_of_view_0():
    output = model()(X, labels=Y)
    assert isinstance(output, ConsistentOutput)
    assert output.loss.ndim == 0
    assert output.logits.shape == (8, 3)
    assert output[0] is output.loss


def test_labels_in_eval_mode_with_gradients_warn_once():
    taking = consistent(Taking(), RDrop(alpha=1), loss=of_rows, plan=TAKING_PLAN).eval()
    with pytest.warns(UserWarning, match=r"eval mode: the term is off[\s\S]*call model.train\(\)"):
        taking(X, labels=Y)
    assert isinstance(taking(X, labels=Y), torch.Tensor)


def test_evaluation_without_gradients_or_labels_does_not_warn():
    taking = consistent(Taking(), RDrop(alpha=1), loss=of_rows, plan=TAKING_PLAN).eval()
    taking(X)
    with torch.no_grad():
        taking(X, labels=Y)


class Taking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x, labels=None):
        return self.net(x)


TAKING_PLAN = ds.Plan(ds.rule("net.1", ds.Bernoulli(rate=0.5)))


def test_labels_that_a_given_loss_misses_are_named_with_what_was_there():
    with pytest.raises(
        ObjectiveError, match=r"looked for 'labels'[\s\S]*given: input\n[\s\S]*label smoothing"
    ):
        model()(X)


def test_a_given_loss_may_read_what_it_likes():
    def of_targets(output, batch):
        return of_rows(output, {"labels": batch["targets"]})

    class Targets(Taking):
        def forward(self, x, targets=None):
            return self.net(x)

    other = consistent(Targets(), RDrop(alpha=1), loss=of_targets, plan=TAKING_PLAN)
    torch.testing.assert_close(other(X, targets=Y).loss.isfinite(), torch.tensor(True))


def test_copies_of_data_parallel_are_refused():
    replica = model()._replicate_for_data_parallel()
    replica._parameters = {}
    with pytest.raises(ViewError, match="use DistributedDataParallel"):
        replica(X, labels=Y)
