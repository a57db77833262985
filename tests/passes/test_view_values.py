"""`Views` is a value, and finds the scores in whatever a model returns."""

import pytest
import torch

from dropsmith.errors import ViewError
from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.passes.make_views import views
from dropsmith.passes.view_values import Views, logits_of
from noise.zoo import WIDTH, mlp, seeded

SCORES = torch.ones(2, 3)


class Output:
    logits = SCORES


@pytest.mark.parametrize(
    "output",
    [SCORES, Output(), {"logits": SCORES}, (SCORES, 1), (torch.tensor(0.5), SCORES)],
    ids=["tensor", "attribute", "mapping", "tuple", "loss first"],
)
def test_scores_are_found(output):
    assert logits_of(output) is SCORES


@pytest.mark.parametrize("output", [None, {}, {"scores": SCORES}, (), (1, SCORES[0, 0]), "a"])
def test_what_has_no_scores_is_an_error_that_says_where_it_looked(output):
    with pytest.raises(ViewError, match=r"a (NoneType|dict|tuple|str)\n.*\.logits"):
        logits_of(output)


def test_a_view_for_each_output():
    made = views(mlp(), seeded(4, WIDTH), 3)
    assert len(made) == len(made.outputs) == len(made.batches) == 3
    assert all(a is b for a, b in zip(made.logits, made.outputs, strict=True))
    assert Views(outputs=(), batches=(), shared_rows=0).logits == ()


@pytest.mark.parametrize("mode", ["stacked", "looped"])
def test_what_is_carried_is_view_0s_state_without_its_graph(mode):
    torch.manual_seed(0)
    net, tokens = SmallLSTM(words=9, width=4), torch.arange(6).view(2, 3)
    with lstm_plan("locked", 0.5).installed(net, tokens, seed=1):
        noise_free = {} if mode == "stacked" else {"noise_free": (1,)}
        made = views(net, {"tokens": tokens}, 2, mode=mode, **noise_free)
        again = views(net, {"tokens": tokens, "state": made.carry}, 2, mode=mode, **noise_free)
    assert [part.shape for part in made.carry] == [(2, 1, 4), (2, 1, 4)]
    for carried, first, second in zip(
        made.carry, made.outputs[0].state, made.outputs[1].state, strict=True
    ):
        assert torch.equal(carried, first)
        assert not torch.equal(carried, second)
        assert first.requires_grad
        assert not carried.requires_grad
    assert all(output.logits.shape == (2, 3, 9) for output in again.outputs)


def test_a_model_without_a_state_carries_nothing():
    assert views(mlp(), seeded(4, WIDTH), 2).carry is None
    assert Views(outputs=({"state": 3},), batches=(None,), shared_rows=0).carry == 3
