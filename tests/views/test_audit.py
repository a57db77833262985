"""The audit counts noise from tensors: modules that lie about theirs are found out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from dropsmith.errors import SiteError
from dropsmith.patterns import (
    Bernoulli,
    Early,
    Gaussian,
    Native,
    Off,
    Path,
    Weights,
    Words,
)
from dropsmith.sites import Plan, noise_of, rule, select
from dropsmith.views import audit
from sites.zoo import (
    Functional,
    Fused,
    Heads,
    mlp,
    of_ones,
    seeded,
    sentences,
    tiny_bert,
    tiny_gpt2,
)

ROWS, TIME, WIDTH = 8, 6, 8
X = seeded(ROWS, TIME, WIDTH)
TRUTHS = pytest.mark.parametrize("truth", [0.0, 0.2, 0.5])


def off_by(row, rate, flips=None):
    """How many standard errors a measured share is from a rate, given the independent flips."""
    flips = row.elements if flips is None else flips
    return abs(row.dropped - rate) / max((rate * (1 - rate) / flips) ** 0.5, 1e-9)


def check(row, truth, flips=None):
    """The row tells the truth, whatever the module declares (one half)."""
    assert row.site.rate == 0.5
    assert off_by(row, truth, flips) < 5
    assert row.on == (truth > 0)
    assert row.why == ("" if truth else "declares rate 0.5 but drops nothing")
    assert row.differ == (truth > 0)


def lying(base, truth, call=F.dropout):
    """A dropout module that declares rate one half and has another."""
    return type("Lies", (base,), {"forward": lambda self, x: call(x, truth, self.training)})(0.5)


# How many units share one flip, for an input of [8, 30, 5], [8, 30, 5, 5] or [8, 30, 5, 5, 5].
SORTS = {
    nn.Dropout: (F.dropout, 3, 1),
    nn.Dropout1d: (F.dropout1d, 3, 5),
    nn.Dropout2d: (F.dropout2d, 4, 25),
    nn.Dropout3d: (F.dropout3d, 5, 125),
    nn.AlphaDropout: (F.alpha_dropout, 3, 1),
    nn.FeatureAlphaDropout: (F.feature_alpha_dropout, 3, 5),
}


@TRUTHS
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("root", [False, True])
def test_a_dropout_module_of_any_sort_that_lies_also_as_the_root(sort, truth, root):
    call, ndim, together = SORTS[sort]
    layer = lying(sort, truth, call)
    x = seeded(8, 30, *[5] * (ndim - 2))
    row = audit(layer if root else nn.Sequential(layer), x)["root" if root else "0"]
    assert row.elements == 2 * x.numel()
    check(row, truth, row.elements / together)


@TRUTHS
def test_functional_dropout_is_measured(truth):
    net = nn.Sequential(Functional(truth))
    row = audit(net, X)["0.dropout()"]
    assert off_by(row, truth) < 5
    assert row.on == (truth > 0)
    assert row.why == ("" if truth else "rate 0")


@TRUTHS
def test_fused_attention_is_measured(truth):
    row = audit(nn.Sequential(Fused(truth)), X)["0.attention()"]
    assert row.elements == 2 * ROWS * 2 * TIME * TIME
    assert off_by(row, truth) < 5
    assert row.on == (truth > 0)


class LyingHeads(nn.MultiheadAttention):
    """Declares one half and hands on another rate."""

    truth = 0.0

    def forward(self, *args, **kwargs):
        self.dropout, declared = self.truth, self.dropout
        try:
            return super().forward(*args, **kwargs)
        finally:
            self.dropout = declared


class LyingLSTM(nn.LSTM):
    truth = 0.0

    def forward(self, *args):
        self.dropout, declared = self.truth, self.dropout
        try:
            return super().forward(*args)
        finally:
            self.dropout = declared


@TRUTHS
@pytest.mark.parametrize("need_weights", [False, True])
def test_multi_head_attention_that_lies(truth, need_weights):
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = LyingHeads(WIDTH, 2, dropout=0.5, batch_first=True)
            self.heads.truth = truth

        def forward(self, x):
            return self.heads(x, x, x, need_weights=need_weights)[0]

    check(audit(Attends(), X)["heads.attention()"], truth)


class Recurrent(nn.Module):
    def __init__(self, truth, packed=False, cell=LyingLSTM):
        super().__init__()
        self.packed = packed
        self.rnn = cell(WIDTH, 6, 2, dropout=0.5, batch_first=True)
        self.rnn.truth = truth

    def forward(self, x):
        if self.packed:
            lengths = torch.full((x.shape[0],), x.shape[1])
            x = pack_padded_sequence(x, lengths, batch_first=True)
        return self.rnn(x)[1][0]


@TRUTHS
@pytest.mark.parametrize("packed", [False, True])
def test_the_dropout_inside_an_lstm_that_lies(truth, packed):
    row = audit(Recurrent(truth, packed), X)["rnn.between()"]
    assert off_by(row, truth) < 5
    assert row.on == (truth > 0)
    assert row.why == ("" if truth else "declares rate 0.5 but drops nothing")


@TRUTHS
@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_dropout_alone_in_hugging_face_models_is_seen(make, attention, truth):
    model = make(attention)
    for name, module in model.named_modules():
        if name.endswith(("self.dropout", "attn_dropout")):
            module.p = truth
    report = audit(model, sentences())
    ends = ".attention()" if attention == "sdpa" else ".dropout()"
    rows = [row for row in report.rows if row.site.name.endswith(ends)]
    assert len(rows) == 2
    for row in rows:
        assert off_by(row, truth) < 5
        assert row.on == (truth > 0)
    assert report.outputs_differ == (truth > 0)


def test_a_module_whose_rate_is_read_by_fused_attention_is_said_to_be_read():
    row = audit(tiny_bert("sdpa", rate=0.3), sentences())["encoder.layer.0.attention.self.dropout"]
    assert (row.on, row.dropped) == (False, None)
    assert row.why == "never called: what owns it may read its rate"


def test_a_model_from_pretrained_is_in_eval_mode_and_all_its_noise_is_off(tmp_path):
    fresh = tiny_bert(rate=0.3)
    fresh.save_pretrained(tmp_path)
    loaded = type(fresh).from_pretrained(tmp_path, local_files_only=True)
    report = audit(loaded, sentences())
    assert report.mode == "eval"
    assert not report.outputs_differ
    assert {row.why for row in report.rows} == {"eval mode"}
    assert not any(row.on for row in report.rows)
    again = audit(loaded.train(), sentences())
    called = [row for row in again.rows if row.dropped is not None]
    assert called
    assert all(row.on and row.differ for row in called)


def encoder(rate=0.5):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, rate, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def for_sampling(model):
    """Only the dropout modules in train mode, as Monte-Carlo dropout is often switched on."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    return model


SKIPS = "a call like this skips it: fused fast path"


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_the_fast_path_of_the_transformer_encoder_skips_dropout_without_gradients(context):
    model = for_sampling(encoder())
    with context():
        report = audit(model, X)
    rows = [row for row in report.rows if row.site.kind == "dropout"]
    assert len(rows) == 6
    assert {(row.on, row.why) for row in rows} == {(False, SKIPS)}
    assert not report.outputs_differ


def test_with_gradients_the_same_modules_do_drop():
    report = audit(for_sampling(encoder()), X)
    rows = [row for row in report.rows if row.site.kind == "dropout"]
    assert {(row.on, row.why) for row in rows} == {(True, "")}
    assert all(off_by(row, 0.5) < 5 for row in rows)


def test_noise_elsewhere_does_not_hide_what_the_fast_path_skips():
    model = for_sampling(nn.Sequential(nn.Dropout(0.5), encoder()))
    with torch.no_grad():
        report = audit(model, X)
    assert report.outputs_differ
    assert report["0"].on
    skipped = [row for row in report.rows if row.site.name.startswith("1.layers.0.dropout")]
    assert {(row.on, row.why) for row in skipped} == {(False, SKIPS)}


@pytest.mark.parametrize(
    ("make", "site"),
    [
        (lambda: nn.Sequential(nn.Dropout(0.5)), "0"),
        (lambda: nn.Sequential(Functional()), "0.dropout()"),
        (lambda: nn.Sequential(Fused()), "0.attention()"),
        (Heads, "attention.attention()"),
        (lambda: Recurrent(0.5, cell=nn.LSTM), "rnn.between()"),
        (encoder, "layers.0.dropout1"),
    ],
)
def test_every_kind_of_noise_is_on_in_train_mode_and_off_in_eval_mode(make, site):
    model = make()
    row = audit(model, X)[site]
    assert (row.on, row.why, row.how) == (True, "", "torch")
    assert off_by(row, 0.5) < 5
    off = audit(model.eval(), X)[site]
    assert (off.on, off.why) == (False, "eval mode")


class OneMask(nn.Dropout):
    """Drops the same units of every row."""

    def forward(self, x):
        return x * F.dropout(torch.ones_like(x[:1]), self.p, self.training)


def test_one_mask_for_all_rows_is_told():
    row = audit(nn.Sequential(OneMask(0.5)), X)["0"]
    assert (row.on, row.differ, row.why) == (True, False, "one mask for the whole batch")


def test_noise_that_views_share_by_plan_is_told_and_is_no_fault():
    net = mlp()
    with Plan(rule("1", Bernoulli(rate=0.5), views="shared")).installed(net):
        report = audit(net, seeded(ROWS, WIDTH))
    row = report["1"]
    assert (row.on, row.differ, row.why) == (True, False, "shared by the plan")
    assert not report.outputs_differ


def test_rows_that_share_within_a_view_do_differ_between_views():
    net = mlp()
    with Plan(rule("1", Bernoulli(rate=0.5, shared="batch"))).installed(net):
        row = audit(net, seeded(ROWS, WIDTH))["1"]
    assert (row.on, row.differ, row.why) == (True, True, "")


@pytest.mark.parametrize("make", [lambda: mlp(), lambda: nn.Sequential(Functional())])
def test_what_the_plan_silences_is_told(make):
    net = make()
    site = "1" if len(net) > 1 else "0.dropout()"
    with Plan(rule(site, Off())).installed(net):
        row = audit(net, seeded(ROWS, WIDTH))[site]
    assert (row.on, row.how, row.why) == (False, "off", "silenced by the plan")


def test_a_rule_that_never_fires_is_a_row_and_not_a_crash():
    model = tiny_bert("sdpa", rate=0.1)
    Plan(rule("**.self.dropout", Bernoulli(rate=0.3))).install(model)
    row = audit(model, sentences())["encoder.layer.0.attention.self.dropout"]
    assert (row.on, row.how) == (False, "keyed")
    assert row.why.startswith("never called")


@pytest.mark.parametrize(("rate", "why"), [(0.0, "rate 0"), (Early(rate=0.5, steps=1), "rate 0")])
def test_a_rate_of_zero_is_told(rate, why):
    net = nn.Sequential(nn.Linear(WIDTH, WIDTH))
    Plan(rule("0", Bernoulli(rate=rate))).install(net)
    noise_of(net).step = 5
    row = audit(net, seeded(ROWS, WIDTH))["0"]
    assert (row.on, row.dropped, row.why) == (False, 0.0, why)


def test_too_few_elements_are_said_to_be_too_few():
    net = nn.Sequential(nn.Linear(WIDTH, 3), nn.Dropout(0.9))
    row = audit(net, seeded(1, WIDTH))["1"]
    assert (row.on, row.differ) == (True, None)
    assert row.why == "too few elements to tell the views apart"


PLANNED = {
    "0": (Words(rate=0.3), "words", 0.3),
    "1": (Bernoulli(rate=0.2), "output", 0.2),
    "1.input": (Bernoulli(rate=0.4), "input", 0.4),
    "2": (Bernoulli(rate=0.25), "dropout", 0.25),
    "3": (Path(rate=0.5), "output", 0.5),
    "4": (Gaussian(rate=0.3), "output", 0.0),
    "5": (Native(rate=0.35), "dropout", 0.35),
    "6.between()": (Bernoulli(rate=0.15), "between", 0.15),
}


def planned():
    torch.manual_seed(0)
    return nn.Sequential(
        of_ones(nn.Embedding(1000, WIDTH)),
        nn.Linear(WIDTH, WIDTH),
        nn.Dropout(0.5),
        nn.Tanh(),
        nn.Identity(),
        nn.Dropout(0.1),
        nn.GRU(WIDTH, WIDTH, 2, batch_first=True),
    )


def test_noise_of_ours_is_measured_at_every_kind_of_site():
    net, ids = planned(), torch.arange(64 * 15).view(64, 15)
    Plan(*(rule(name, pattern) for name, (pattern, _, _) in PLANNED.items())).install(net)
    report = audit(net, ids)
    assert {(row.site.name, row.site.kind) for row in report.rows} == {
        (name, kind) for name, (_, kind, _) in PLANNED.items()
    }
    # Words fall whole and paths fall by row: fewer flips than elements, over two views.
    flips = {"0": 2 * 64 * 15, "3": 2 * 64}
    for name, (pattern, _, rate) in PLANNED.items():
        row = report[name]
        assert (row.on, row.differ, row.why) == (True, True, ""), name
        assert row.how == ("retuned" if isinstance(pattern, Native) else "keyed")
        assert off_by(row, rate, flips.get(name)) < 5, name
    assert report["1"].elements == 2 * 64 * 15 * WIDTH


@pytest.mark.parametrize("sharing", ["fresh", "shared"])
def test_dropped_weights_are_measured_pass_by_pass(sharing):
    net = nn.Sequential(nn.Linear(40, 30))
    Plan(rule("0.weight", Weights(rate=0.3), views=sharing)).install(net)
    row = audit(net, seeded(ROWS, 40))["0.weight"]
    assert off_by(row, 0.3) < 5
    assert (row.on, row.differ) == (True, sharing == "fresh")
    assert row.why == ("" if sharing == "fresh" else "shared by the plan")


def test_words_and_units_of_one_embedding_are_two_rows():
    net = planned()[:1]
    Plan(rule("0", Words(rate=0.3)), rule("0", Bernoulli(rate=0.5))).install(net)
    kinds = {row.site.kind: row for row in audit(net, torch.arange(600).view(20, 30)).rows}
    assert off_by(kinds["words"], 0.3, 2 * 600) < 5
    assert off_by(kinds["output"], 0.5) < 5


def test_time_first_batches_are_audited_too():
    net = nn.Sequential(nn.LSTM(WIDTH, 6, 2, dropout=0.5))
    row = audit(net, seeded(9, 4, WIDTH))["0.between()"]
    assert (row.on, row.differ) == (True, True)
    assert row.site.axes == ("time", "batch", "unit")


def test_a_mask_locked_over_time_is_not_taken_for_one_mask_of_all_rows():
    net = nn.Sequential(nn.Linear(WIDTH, WIDTH))
    Plan(rule("0", Bernoulli(rate=0.5, shared="time"))).install(net)
    row = audit(net, seeded(4, 8, WIDTH))["0"]
    assert (row.on, row.differ, row.why) == (True, True, "")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_half_precision_is_measured_without_taking_rounding_for_noise(dtype, rate):
    net = nn.Sequential(Fused(rate), nn.Dropout(rate)).to(dtype)
    report = audit(net, X.to(dtype))
    for row in report.rows:
        assert row.on == (rate > 0)
        assert off_by(row, rate) < 5


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
def test_an_audit_leaves_no_trace(training):
    net = nn.Sequential(nn.Linear(WIDTH, 9), nn.BatchNorm1d(9), nn.Dropout(0.5)).train(training)
    net[2].eval()
    Plan(rule("0", Bernoulli(rate=0.5)), rule(select(type="Dropout"), Native(rate=0.2))).install(
        net
    )
    net.train()(seeded(ROWS, WIDTH))
    net.train(training)
    noise = noise_of(net)
    counters = noise.step, dict(noise.fired), noise.checked, noise.observer, noise.held
    modes, before, state = [m.training for m in net.modules()], state_of(net), torch.get_rng_state()
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    audit(net, seeded(ROWS, WIDTH))
    assert (noise.step, noise.fired, noise.checked, noise.observer, noise.held) == counters
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert not nn.modules.module._global_forward_pre_hooks
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_model_that_fails_is_left_without_a_trace_too():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    net = nn.Sequential(nn.Dropout(0.5), Fails())
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="broken"):
        audit(net, X)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_it_prints_a_table_with_a_verdict():
    net = mlp()
    lines = str(audit(net, seeded(ROWS, WIDTH))).splitlines()
    assert lines[0].split() == ["site", "how", "on", "dropped", "views", "why"]
    assert lines[1].split()[:3] == ["1", "torch", "yes"]
    assert lines[1].split()[-1] == "differ"
    assert lines[-1] == "two passes over this batch in train mode differ"
    quiet = str(audit(net.eval(), seeded(ROWS, WIDTH))).splitlines()
    assert "NO" in quiet[1]
    assert quiet[1].endswith("eval mode")
    assert quiet[-1] == "two passes over this batch in eval mode are identical"


def test_a_model_without_any_noise_has_an_empty_table():
    report = audit(nn.Sequential(nn.Linear(WIDTH, 2)), seeded(ROWS, WIDTH))
    assert report.rows == ()
    assert not report.outputs_differ


def test_a_site_that_is_not_in_the_table_is_an_error_with_the_nearest():
    net = nn.Sequential()
    net.add_module("dropout", nn.Dropout(0.5))
    report = audit(net, seeded(ROWS, WIDTH))
    with pytest.raises(SiteError, match=r"no site 'drpout'[\s\S]*did you mean 'dropout'"):
        report["drpout"]
