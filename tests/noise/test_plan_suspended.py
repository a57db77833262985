import torch
from torch import nn

from dropsmith.noise.lookup import installation_of, noise_of, plan_of
from dropsmith.noise.plan_suspended import plan_suspended
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


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.lstm = nn.Embedding(9, 4), nn.LSTM(4, 4, 2, dropout=0.3, batch_first=True)
        self.drop, self.branch, self.head = nn.Dropout(0.2), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, words):
        h = self.drop(self.lstm(self.table(words))[0])
        return self.head(h + self.branch(h))


PLAN = Plan(
    rule("table", WordDropout(rate=0.2)),
    rule("lstm.between()", Bernoulli(rate=0.3)),
    rule("lstm.weight_hh_l0", DropConnect(rate=0.3)),
    rule("drop", Bernoulli(rate=0.4)),
    rule("branch", StochasticDepth(rate=0.3)),
    rule("head.input", Bernoulli(rate=0.1)),
)
WORDS = torch.arange(10).view(2, 5) % 9


def everything(model):
    names = [name for name in vars(nn.Linear(1, 1)) if "hooks" in name]
    return [
        [list(getattr(module, name).items()) for name in names]
        + [module.training, getattr(module, "p", None), getattr(module, "dropout", None)]
        for module in model.modules()
    ]


def test_the_model_is_bare_inside_and_outside_as_it_was_among_the_hooks_of_others():
    model = Text().train()
    model.drop.register_forward_hook(lambda *_: None)
    PLAN.install(model, WORDS, seed=3)
    model.drop.register_forward_hook(lambda *_: None)
    model.register_forward_pre_hook(lambda *_: None)
    model(WORDS)
    before, noise, made = everything(model), noise_of(model), installation_of(model)
    with plan_suspended(model):
        assert plan_of(model) is None
        assert len(model.drop._forward_hooks) == 2
        assert not model.lstm._forward_hooks
        with Plan(rule("drop", TorchDropout(rate=0.9))).installed(model, WORDS):
            model(WORDS)
    assert everything(model) == before
    assert noise_of(model) is noise
    assert installation_of(model) is made


def test_masks_and_removal_are_those_of_a_plan_that_never_left():
    outputs = []
    for left in (False, True):
        model = Text().train()
        PLAN.install(model, WORDS, seed=3)
        if left:
            with plan_suspended(model):
                pass
        outputs.append(model(WORDS))
        PLAN.remove(model)
        assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
        assert model.drop.p == 0.2
    assert torch.equal(*outputs)


def test_rates_that_a_plan_retuned_are_the_models_own_inside():
    model = nn.Sequential(nn.Dropout(0.2), nn.LSTM(4, 4, 2, dropout=0.3))
    with Plan(rule("0", TorchDropout(rate=0.7)), rule("1.between()", Off())).installed(model):
        with plan_suspended(model):
            assert (model[0].p, model[1].dropout) == (0.2, 0.3)
        assert (model[0].p, model[1].dropout) == (0.7, 0.0)
    assert (model[0].p, model[1].dropout) == (0.2, 0.3)


class Recorder(nn.Module):
    """Hangs a hook of its own on another module at its first call, and takes another off."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Linear(4, 4), []
        self.first = self.layer.register_forward_hook(self.note)
        self.started = False

    def note(self, module, args, output):
        self.seen.append(len(args))

    def forward(self, x):
        if not self.started:
            self.started = True
            self.layer.register_forward_hook(self.note, prepend=True)
            self.first.remove()
        return self.layer(x)


def test_hooks_that_the_model_hangs_on_and_takes_off_meanwhile_stay_so():
    model, x = nn.Sequential(Recorder(), nn.LazyLinear(3)), torch.ones(2, 4)
    plan = Plan(rule("0.layer", Bernoulli(rate=0.5)))
    plan.install(model)
    ours = list(model[0].layer._forward_hooks)[-1]
    with plan_suspended(model):
        model(x)
        kept = list(model[0].layer._forward_hooks)
        assert len(kept) == 1
    assert set(model[0].layer._forward_hooks) == {*kept, ours}
    assert type(model[1]) is nn.Linear
    assert not torch.equal(model(x), model(x))
    assert len(model[0].seen) == 3
    plan.remove(model)
    assert list(model[0].layer._forward_hooks) == kept


def test_our_hooks_come_back_between_those_of_others():
    model, order = nn.Sequential(nn.Linear(4, 4)), []
    handles = [model[0].register_forward_hook(lambda *given: order.append("before"))]
    Plan(rule("0", Bernoulli(rate=0.5))).install(model)
    handles.append(model[0].register_forward_hook(lambda *given: order.append("after")))
    numbers = list(model[0]._forward_hooks)
    with plan_suspended(model):
        handles[0].remove()
        model[0].register_forward_hook(lambda *given: None)
    rest = list(model[0]._forward_hooks)
    assert rest[:2] == numbers[1:]
    assert len(rest) == 3
