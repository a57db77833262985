"""Faults of other libraries' recurrent dropout, each a test that ours does not have it.

Where they were found: awd-lstm-lm (WeightDrop, issue 72 and its fate on current torch), PyTorch-NLP
(WeightDrop), fastai (layer_names), AllenNLP (issue 2320), Keras (review of 19645), MXNet (pull
request 7067), flair and the "concatenate the batch twice" trick of many loss functions.
"""

import copy
import pickle

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.recurrent import GRU, LSTM, RNN

X = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0))
EVERY_WEIGHT = ds.Plan(ds.rule("weight_hh_*", ds.DropConnect(rate=0.5)))
HELD = ds.Plan(ds.rule("root.recurrent", ds.Bernoulli(rate=0.5, shared="time gate")))


def layer(kind=LSTM, **settings):
    torch.manual_seed(0)
    return kind(5, 7, batch_first=True, **settings)


def test_dropped_weights_stay_parameters_of_the_module():
    """PyTorch-NLP's WeightDrop: no parameter reaches the optimiser, `state_dict` is empty."""
    model = layer()
    names = list(model.state_dict())
    with EVERY_WEIGHT.installed(model, X):
        model(X)
        assert list(model.state_dict()) == names
        assert len(list(model.parameters())) == 4


def test_the_gradient_reaches_the_weight_that_was_dropped():
    """fastai2 427: it did not, and nothing said so."""
    model = layer()
    with EVERY_WEIGHT.installed(model, X):
        model(X)[0].sum().backward()
    assert model.weight_hh_l0.grad is not None
    zeros = float((model.weight_hh_l0.grad == 0).double().mean())
    assert zeros == pytest.approx(0.5, abs=4 * (0.25 / model.weight_hh_l0.numel()) ** 0.5)


def test_the_reverse_direction_and_later_layers_are_dropped():
    """fastai drops `weight_hh_l0` alone, PyTorch-NLP forgets the reverse direction."""
    model = layer(num_layers=2, bidirectional=True)
    for plan in (EVERY_WEIGHT, HELD):
        with plan.installed(model, X):
            rows = [row for row in ds.audit(model, X).rows if row.how == "keyed"]
            assert len(rows) == 4
            assert all(row.on and row.differ for row in rows)


@pytest.mark.parametrize("plan", [EVERY_WEIGHT, HELD], ids=["weights", "state"])
def test_train_eval_train_goes_on_and_eval_is_deterministic(plan):
    """awd-lstm's WeightDrop: a TypeError after eval; random in eval in its variational mode."""
    model = layer()
    with plan.installed(model, X):
        model(X)
        model.eval()
        assert torch.equal(model(X)[0], model(X)[0])
        model.train()
        assert not torch.equal(model(X)[0], model(X)[0])


@pytest.mark.parametrize("plan", [EVERY_WEIGHT, HELD], ids=["weights", "state"])
def test_a_copy_after_a_forward_computes_with_its_own_weights(plan):
    """awd-lstm's fails to be copied after a forward; PyTorch-NLP's copy runs the original's."""
    model = layer()
    plan.install(model, X)
    model(X)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        assert not other(X)[0].any()


def test_a_mask_on_the_state_is_one_on_the_columns_of_the_weight_and_not_on_its_rows():
    """awd-lstm's variational WeightDrop masks rows, which are outputs of gates."""
    model, other = layer(), layer()
    mask = torch.tensor([0.0, 2, 0, 2, 2, 0, 2])
    with torch.no_grad():
        other.weight_hh_l0.mul_(mask)
    found = model(X, masks={"recurrent_l0": mask[None, None, None]})[0]
    torch.testing.assert_close(found, other(X)[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_the_mask_of_the_state_is_not_the_mask_of_the_output(kind):
    """AllenNLP 2320, MXNet: one mask for the state and what the layer returns."""
    model = layer(kind)
    states = model(X, masks={"recurrent_l0": torch.zeros(1, 1, 1, 1)})[0]
    assert float((states == 0).double().mean()) < 0.6
    torch.testing.assert_close(states[:, :1], model(X)[0][:, :1], atol=1e-6, rtol=1e-5)


def test_the_mask_of_the_input_is_off_at_inference():
    """Keras 19645: applied there too, for a while."""
    model, native = layer(), layer(nn.LSTM)
    plan = ds.Plan(ds.rule("root.inputs", ds.Bernoulli(rate=0.5, shared="time")))
    with plan.installed(model, X):
        assert torch.equal(model.eval()(X)[0], native(X)[0])


@pytest.mark.parametrize("plan", [EVERY_WEIGHT, HELD], ids=["weights", "state"])
def test_two_views_of_a_batch_are_never_dropped_alike(plan):
    """Concatenating the batch twice gives both halves the same weights."""
    model = layer()
    with plan.installed(model, X):
        first, second = (view[0] for view in ds.views(model, X).outputs)
        assert not torch.equal(first, second)


def test_a_held_mask_is_held_over_time_and_not_over_rows():
    """awd-lstm pull request 5: LockedDropout broadcast along the wrong axis."""
    model, seen = layer(), []
    with HELD.installed(model, X):
        ds.noise_of(model).observer = lambda site, kind, before, after: seen.append(after)
        model(X)
    assert seen[0].shape == (3, 1, 1, 7)
    assert not torch.equal(seen[0][0], seen[0][1])


def test_dropout_between_layers_is_seen_by_the_audit():
    """Tools that patch dropout modules pass over `nn.LSTM(dropout=)`, whose draw is in C++."""
    model = layer(num_layers=2, dropout=0.5)
    for given in (model, layer(nn.LSTM, num_layers=2, dropout=0.5)):
        row = ds.audit(given, X)["root.between()"]
        assert row.on
        assert row.differ
