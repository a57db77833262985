"""A model is sampled with all its noise, and nothing of it is left on the model."""

import copy
import pickle

import pytest
import torch
from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.noise.lookup import noise_of, plan_of
from dropsmith.patterns import Bernoulli, EarlyRate, LinearRate, Off, TorchDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.prediction.run_predict import predict
from prediction.noisy import NOISY, image_net, net, seeded

X = seeded(5, 4)


def test_the_same_seed_predicts_the_same_and_another_differently():
    for name in ("dropout", "packed", "own noise"):
        model, batch = NOISY[name]
        one = predict(model, batch, samples=4, seed=3)
        torch.manual_seed(99)
        assert torch.equal(one.mean, predict(model, batch, samples=4, seed=3).mean)
        assert not torch.equal(one.mean, predict(model, batch, samples=4, seed=4).mean)


def test_batch_norm_keeps_its_statistics_and_predicts_a_row_alone_as_among_others():
    model, x = image_net().train(), seeded(3, 1, 8, 8)
    before = copy.deepcopy(model.state_dict())
    predict(model, x, samples=3)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    plan = Plan(rule("4", Off()), rule("7", Bernoulli(rate=0.5, shared="batch")))
    among = predict(model, x, samples=3, plan=plan, mode="looped", keep=True).draws[:, :1]
    alone = predict(model, x[:1], samples=3, plan=plan, mode="looped", keep=True).draws
    torch.testing.assert_close(among, alone)


def test_nothing_is_left_on_the_model():
    model = net().train()
    model[1].eval()
    plan = Plan(rule("0", Bernoulli(rate=0.2)), rule("2", TorchDropout(rate=0.3)))
    plan.install(model, X, seed=7)
    model(X)
    noise, step = noise_of(model), noise_of(model).step
    twin, hooks = pickle.loads(pickle.dumps(model)), all_hooks(model)
    torch.manual_seed(3)
    want = twin(X)
    torch.manual_seed(3)
    predict(model, X, samples=4)
    assert torch.equal(model(X), want)
    assert all_hooks(model) == hooks
    assert plan_of(model) == plan
    assert noise_of(model) is noise
    assert noise.step == step + 1
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
    assert model[2].p == 0.3
    plan.remove(model)
    assert model[2].p == 0.5
    assert all(not found for found in all_hooks(model))
    assert not any("forward" in vars(module) for module in model.modules())


def all_hooks(model):
    return [
        list(m._forward_hooks.items()) + list(m._forward_pre_hooks.items()) for m in model.modules()
    ]


def test_the_next_training_masks_are_those_of_a_model_that_never_predicted():
    outputs = []
    for asked in (False, True):
        model = net(0.0).train()
        with Plan(rule("0", Bernoulli(rate=0.5))).installed(model, X, seed=1):
            model(X)
            if asked:
                predict(model, X, samples=4)
            outputs.append(model(X))
    assert torch.equal(*outputs)


def test_nothing_is_left_after_a_failure():
    model, x = net(), X
    handle = model[3].register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyError("broken")))
    with pytest.raises(KeyError):
        predict(model, x, samples=4)
    handle.remove()
    assert torch.backends.mha.get_fastpath_enabled()
    assert all(not found for found in all_hooks(model))
    assert not any("forward" in vars(module) for module in model.modules())


def test_the_installed_plan_is_sampled_beside_the_models_own_noise():
    model = net(0.0)
    with Plan(rule("0", Bernoulli(rate=0.5))).installed(model):
        installed = predict(model, X, samples=5)
    given = predict(model, X, samples=5, plan=Plan(rule("0", Bernoulli(rate=0.5))))
    assert torch.equal(installed.mean, given.mean)
    both = predict(net(0.5), X, samples=5, plan=Plan(rule("0", Bernoulli(rate=0.5))))
    assert not torch.equal(both.mean, given.mean)


def test_a_given_plan_stands_in_for_the_installed_one():
    model, other = net(0.0), Plan(rule("1", Bernoulli(rate=0.5)))
    with Plan(rule("0", Bernoulli(rate=0.5))).installed(model):
        got = predict(model, X, samples=5, plan=other)
    assert torch.equal(got.mean, predict(net(0.0), X, samples=5, plan=other).mean)


def test_the_plan_has_the_last_word_on_the_models_own_noise():
    silenced = Plan(rule("2", Off()), rule("0", Bernoulli(rate=0.3)))
    assert torch.equal(
        predict(net(0.5), X, samples=5, plan=silenced).mean,
        predict(net(0.0), X, samples=5, plan=Plan(silenced.rules[1])).mean,
    )


def test_masks_that_views_share_in_training_are_drawn_anew_for_every_sample():
    plan = Plan(rule("0", Bernoulli(rate=0.5), views="shared"))
    draws = predict(net(0.0), X, samples=4, plan=plan, keep=True).draws
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == 4


def test_rates_on_a_schedule_are_those_of_the_present_step():
    model = net(0.0).train()
    rising = Plan(rule("0", Bernoulli(rate=LinearRate(start=0.0, end=0.5, steps=4))))
    with rising.installed(model, X):
        with pytest.raises(NoiseError):
            predict(model, X, samples=3)
        noise_of(model).step = 4
        prediction = predict(model, X, samples=3)
    fixed = Plan(rule("0", Bernoulli(rate=0.5)))
    assert prediction.variance.sum() > 0.1 * predict(model, X, 3, plan=fixed).variance.sum()
    early = Plan(rule("0", Bernoulli(rate=EarlyRate(rate=0.5, steps=1))))
    assert predict(model, X, samples=3, plan=early).variance.sum() > 0


def test_wrapped_and_compiled_models_are_run_bare():
    want = predict(net(), X, samples=3).mean
    assert torch.equal(predict(nn.DataParallel(net()), X, samples=3).mean, want)
    compiled = net()
    compiled.compile(backend="eager")
    assert torch.equal(predict(compiled, X, samples=3).mean, want)
    assert torch.equal(predict(torch.compile(net(), backend="eager"), X, samples=3).mean, want)


@pytest.mark.parametrize("training", [True, False])
def test_padded_sequences_take_no_fast_path_without_noise(training):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.3, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True).train(training)
    hidden = torch.zeros(3, 5, dtype=torch.bool)
    hidden[1, 3:] = True
    batch = {"src": seeded(3, 5, 16), "src_key_padding_mask": hidden}
    prediction = predict(model, batch, samples=6)
    assert prediction.mean.shape == (3, 5, 16)
    assert (prediction.mutual_information > 0).all()
