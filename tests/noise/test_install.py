"""A plan goes on and comes off, and everything about the model survives both."""

import gc
import io
import pickle
import weakref
from copy import deepcopy

import pytest
import torch
from torch import nn

from dropsmith.errors import PlanError, SiteError
from dropsmith.noise.clock import CALL, STEP
from dropsmith.noise.lookup import find_noise, noise_of, plan_of
from dropsmith.patterns import (
    Bernoulli,
    DropConnect,
    Off,
    StochasticDepth,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select
from noise.zoo import (
    FLIPS,
    KINDS,
    ONES,
    WIDTH,
    Functional,
    fitting,
    mirrors,
    mlp,
    seeded,
    sentences,
    tiny_bert,
    tiny_gpt2,
)


class Everything(nn.Module):
    """Ties, buffers, a recurrent layer, attention, an embedding and native noise of all kinds."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(11, WIDTH)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(WIDTH, 2, 16, 0.1, batch_first=True),
            1,
            enable_nested_tensor=False,
        )
        self.lstm = nn.LSTM(WIDTH, WIDTH, 2, dropout=0.1, batch_first=True)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.own = Functional(0.1)
        self.head = nn.Linear(WIDTH, 11, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids, fail=False):
        x = self.own(self.lstm(self.encoder(self.words(ids)))[0]).squeeze(1)
        if fail:
            raise ValueError("in the middle")
        return self.head(self.norm(x.transpose(1, 2)).transpose(1, 2))


IDS = torch.arange(12).view(3, 4) % 11
PLAN = Plan(
    rule("words", WordDropout(rate=0.2)),
    rule("words.weight", DropConnect(rate=0.2)),
    rule("lstm.weight_hh_l*", DropConnect(rate=0.3)),
    rule("lstm.between()", FLIPS),
    rule("encoder.layers.*", StochasticDepth(rate=0.3)),
    rule("**.attention()", FLIPS),
    rule(select(kind="dropout"), Bernoulli(rate=0.3)),
    rule("**.dropout2", TorchDropout(rate=0.4)),
    rule("**.dropout1", Off()),
    rule("own.dropout()", FLIPS, views="shared"),
    rule("head.input", FLIPS),
)


HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
)


def everything_about(model):
    """All of a module's state and hooks that a plan could leave changed, down to identities."""
    modules = list(model.modules())
    recurrent = [module for module in modules if isinstance(module, nn.RNNBase)]
    return {
        "keys": list(model.state_dict()),
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "parameters": [(n, id(p), p.dtype, p.requires_grad) for n, p in model.named_parameters()],
        "buffers": [
            (name, id(buffer)) for name, buffer in model.named_buffers() if name not in (STEP, CALL)
        ],
        "hooks": [[len(getattr(module, name)) for name in HOOKS] for module in modules],
        "own": [sorted(vars(module)) for module in modules],
        "rates": [(getattr(m, "p", None), str(getattr(m, "dropout", None))) for m in modules],
        "flat": [[id(weight) for weight in module._flat_weights] for module in recurrent],
        "modes": [module.training for module in modules],
        "forward": [module.forward.__func__ for module in modules],
    }


def same(before, after):
    values = before.pop("values"), after.pop("values")
    assert before == after
    assert all(torch.equal(values[0][name], values[1][name]) for name in values[0])


def test_installing_and_removing_leaves_everything_as_it_was():
    model = Everything()
    before = everything_about(model)
    PLAN.install(model)
    PLAN.remove(model)
    same(before, everything_about(model))
    assert plan_of(model) is None
    assert find_noise(model) is None


def test_parameters_and_keys_stay_while_a_plan_is_on():
    model = Everything()
    before = everything_about(model)
    with PLAN.installed(model):
        during = everything_about(model)
        for part in ("keys", "parameters", "buffers", "flat"):
            assert before[part] == during[part]
        model(IDS)
        assert [id(w) for w in model.lstm._flat_weights] == during["flat"][0]
        assert model.head.weight is model.words.weight


def test_training_with_a_plan_changes_nothing_but_the_values_of_parameters():
    model = Everything()
    before = everything_about(model)
    with PLAN.installed(model):
        model(IDS).sum().backward()
    after = everything_about(model)
    for part in set(before) - {"values"}:
        assert before[part] == after[part], part


def test_it_comes_off_whole_after_an_exception_inside_a_forward():
    model = Everything()
    before = everything_about(model)
    with pytest.raises(ValueError, match="in the middle"), PLAN.installed(model):
        model(IDS, fail=True)
    same(before, everything_about(model))
    assert not any("weight" in vars(m) for m in model.modules())


def test_a_forward_after_one_that_failed_is_as_good_as_new():
    model, fresh = Everything(), Everything()
    for one in (model, fresh):
        PLAN.install(one)
    with pytest.raises(ValueError, match="in the middle"):
        model(IDS, fail=True)
    noise_of(model).step = 0
    torch.manual_seed(3)
    got = model(IDS)
    torch.manual_seed(3)
    assert torch.equal(got, fresh(IDS))


def test_outputs_in_eval_mode_are_equal_before_during_and_after():
    model = Everything().eval()
    before = model(IDS)
    with PLAN.installed(model):
        during = model(IDS)
    # Torch's own fused attention is left for a slower path only where there is a plan.
    torch.testing.assert_close(during, before)
    assert torch.equal(model(IDS), before)


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_hugging_face_models_are_as_before_to_the_bit(make):
    model, batch = make(), sentences()
    before, want = everything_about(model), model(**batch).last_hidden_state
    plan = fitting(model)
    with plan.installed(model):
        assert not torch.equal(model(**batch).last_hidden_state, want)
    same(before, everything_about(model))
    assert torch.equal(model(**batch).last_hidden_state, want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_every_site_keeps_the_dtype_and_drops_in_the_same_places(kind, dtype):
    mirror = mirrors()[kind]
    mirror.plan().install(mirror.model)
    whole = mirror.masks()
    noise_of(mirror.model).step = 0
    mirror.model.to(dtype)
    batch = mirror.batch.to(dtype) if mirror.batch.is_floating_point() else mirror.batch
    half = mirror.masks(batch)
    assert half.dtype == dtype
    assert torch.equal(half == 0, whole == 0)


def test_an_optimiser_made_before_goes_on_with_its_state():
    model, alone = mlp(rate=0.0), mlp(rate=0.0)
    optimisers = [torch.optim.Adam(one.parameters()) for one in (model, alone)]
    plan = Plan(rule("0.weight", DropConnect(rate=0.0)), rule("1", Bernoulli(rate=0.0)))
    for turn in range(4):
        if turn == 1:
            plan.install(model)
        if turn == 3:
            plan.remove(model)
        for one, optimiser in zip((model, alone), optimisers, strict=True):
            optimiser.zero_grad()
            one(seeded(4, WIDTH)).square().sum().backward()
            optimiser.step()
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), alone.parameters(), strict=True)
    )


def with_torch_save(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = [deepcopy, lambda model: pickle.loads(pickle.dumps(model)), with_torch_save]


@pytest.mark.parametrize("copy", COPIES, ids=["deepcopy", "pickle", "torch.save"])
@pytest.mark.parametrize("forwards", [0, 2])
def test_a_copy_with_a_plan_goes_on_like_the_original_and_apart_from_it(copy, forwards):
    model = Everything()
    PLAN.install(model, seed=7)
    for _ in range(forwards):
        model(IDS)
    twin = copy(model)
    torch.manual_seed(0)
    got = twin(IDS)
    assert noise_of(model).step == forwards
    torch.manual_seed(0)
    assert torch.equal(got, model(IDS))
    assert twin.head.weight is twin.words.weight
    twin.head.weight.data.zero_()
    assert model.head.weight.abs().sum() > 0
    PLAN.remove(twin)
    assert plan_of(model) == PLAN


@pytest.mark.parametrize("copy", COPIES, ids=["deepcopy", "pickle", "torch.save"])
def test_removing_from_a_copy_gives_the_model_without_a_plan(copy):
    model = Everything()
    before = everything_about(model)
    PLAN.install(model)
    twin = copy(model)
    PLAN.remove(twin)
    after = everything_about(twin)
    for part in ("keys", "hooks", "own", "rates", "modes"):
        assert before[part] == after[part], part


def test_nothing_keeps_a_model_alive_after_its_plan_is_off():
    model = Everything()
    with PLAN.installed(model):
        model(IDS)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a_plan_can_be_installed_again_after_another():
    model = mlp()
    for seed in (0, 1, 0):
        with Plan(rule("1", FLIPS)).installed(model, seed=seed):
            assert noise_of(model).seed == seed
    masks = []
    for seed in (0, 1, 0):
        net = nn.Sequential(nn.Identity())
        with Plan(rule("0", FLIPS)).installed(net, seed=seed):
            masks.append(net(ONES))
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], masks[1])


def test_native_noise_cannot_be_shared_between_views():
    with pytest.raises(PlanError, match=r"'1' cannot be shared[\s\S]*Bernoulli\(rate=0\.2\)"):
        Plan(rule("1", TorchDropout(rate=0.2), views="shared")).install(mlp())


def test_a_plan_that_cannot_be_installed_leaves_no_trace():
    model = Everything()
    before = everything_about(model)
    plans = [Plan(*PLAN.rules, rule("nowhere", FLIPS))]
    plans += [Plan(*PLAN.rules, rule("**.dropout2", TorchDropout(rate=0.2), views="shared"))]
    for plan in plans:
        with pytest.raises((SiteError, PlanError)):
            plan.install(model)
        same(dict(before), everything_about(model))


def test_a_rule_whose_module_is_read_and_never_called_is_an_error_at_the_first_forward():
    model = tiny_bert("sdpa", rate=0.1)
    Plan(rule("**.self.dropout", FLIPS)).install(model)
    with pytest.raises(SiteError) as caught:
        model(**sentences())
    message = str(caught.value)
    assert "encoder.layer.0.attention.self.dropout" in message
    assert "which never ran" in message
    assert "attention()" in message


def test_a_module_that_is_read_keeps_its_rate_under_a_rule_for_many():
    model = tiny_bert("sdpa", rate=0.2)
    Plan(rule(select(kind="dropout"), FLIPS)).install(model)
    rates = []
    original = torch.nn.functional.scaled_dot_product_attention

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is original:
                rates.append(kwargs["dropout_p"])
            return func(*args, **(kwargs or {}))

    with Spy():
        model(**sentences())
    assert rates == [0.2, 0.2]


def test_a_functional_site_that_does_not_exist_is_found_with_a_batch_or_at_the_first_forward():
    class Quiet(nn.Module):
        def forward(self, x):
            return x

    plan, net = Plan(rule("0.dropout()", FLIPS)), nn.Sequential(Quiet())
    with pytest.raises(SiteError, match="matched no site"):
        plan.install(net, ONES)
    plan.install(net)
    with pytest.raises(SiteError, match="never ran"):
        net(ONES)


@pytest.mark.parametrize("pattern", [Off(), TorchDropout(rate=0.1), Bernoulli(rate=0.0)])
def test_a_rule_that_asks_for_no_noise_of_ours_need_not_fire(pattern):
    model = tiny_bert("sdpa")
    with Plan(rule("**.self.dropout", pattern)).installed(model):
        model(**sentences())


def test_the_check_that_rules_fire_waits_for_a_forward_with_noise():
    model = tiny_bert("sdpa").eval()
    Plan(rule("**.self.dropout", FLIPS)).install(model)
    model(**sentences())
    with pytest.raises(SiteError, match="never ran"):
        model.train()(**sentences())
