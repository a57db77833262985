"""What the hooks give back, and when they stay out."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import dropsmith as ds
from consistency.tiny import PLAN, X, Y, integers, net, of_rows, of_tokens, seeded
from dropsmith.consistency import ConsistentOutput, consistent, terms_of
from dropsmith.errors import ObjectiveError, ViewError
from dropsmith.objectives import ExpectationLinear, RDrop
from noise.sequences import LENGTHS, PACKED, PADDED, Reader, planned


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


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_forward_that_raises_leaves_the_model_ready_for_the_next(mode):
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=PLAN, mode=mode)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model(seeded(8, 7), labels=Y)
    with pytest.raises(ObjectiveError, match="shaped like"):
        model(X, labels=Y[:4])
    assert not ds.noise_of(model).pass_is_set
    model(X, labels=Y).loss.backward()
    assert ds.noise_of(model).step == 3


def test_views_are_looped_where_a_site_folds_time_into_its_rows(capsys):
    class Folding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.head = nn.Tanh(), nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.act(x.flatten(0, 1))).view(*x.shape[:2], -1)

    plan = ds.Plan(ds.rule("act", ds.Bernoulli(rate=0.5)))
    x, labels = seeded(4, 5, 6), integers(3, 4, 5)
    plain = Folding()
    made = [
        consistent(deepcopy(plain), RDrop(alpha=1), loss=of_tokens, plan=plan, mode=mode)
        for mode in ("auto", "looped")
    ]
    losses = [model(x, labels=labels).loss for model in made]
    torch.testing.assert_close(*losses)
    assert all(float(terms_of(model)["consistency"].value) > 0 for model in made)
    assert "one after the other: site 'act' was taken to be 'batch unit'" in capsys.readouterr().err


LABELS = torch.tensor([0, 2, 1, 0])


def test_packed_or_padded_the_loss_and_its_gradients_are_the_same():
    losses, grads = [], []
    for batch in ((PACKED,), (PADDED, LENGTHS)):
        model = consistent(planned(Reader()), RDrop(alpha=1.0), loss=of_rows, mode="auto")
        losses.append(model.train()(*batch, labels=LABELS).loss)
        assert all(one.value > 0 for one in terms_of(model).values())
        losses[-1].backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*grads)


class Checkpointed(nn.Module):
    """A layer with torch's own dropout, run again in backward where `reentrant` is not None."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.inside = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Dropout(0.5))
            self.first, self.head = nn.Linear(6, 6), nn.Linear(32, 3)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.reentrant is None:
            return self.head(self.inside(x))
        return self.head(checkpoint(self.inside, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_noise_free_view_stays_so_where_checkpointing_runs_its_layers_again(reentrant):
    found = []
    for how in (None, reentrant):
        model = consistent(Checkpointed(how), ExpectationLinear(kappa=5.0), loss="classification")
        torch.manual_seed(1)
        model(X, labels=Y).loss.backward()
        assert all(module.training for module in model.modules())
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
