"""Why noise is off, or the same for two views, is told for every way there is."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.noise.lookup import noise_of
from dropsmith.passes.make_views import views
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import (
    Bernoulli,
    EarlyRate,
    Off,
    Spans,
    Tiles,
)
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.zoo import (
    Functional,
    Fused,
    Heads,
    mlp,
    seeded,
    sentences,
    tiny_bert,
)
from passes.liars import Recurrent, X, encoder, for_sampling, off_by

ROWS, WIDTH = 8, 8
SKIPS = "a call like this skips it: fused fast path"


def test_a_module_whose_rate_is_read_by_fused_attention_is_said_to_be_read():
    row = audit(tiny_bert("sdpa", rate=0.3), sentences())["encoder.layer.0.attention.self.dropout"]
    assert (row.on, row.dropped) == (False, None)
    assert row.why == "never called; its parent may pass the rate to another call"


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


def test_one_mask_for_all_rows_is_drawn_for_each_view_by_itself():
    net = nn.Sequential(OneMask(0.5))
    row = audit(net, X)["0"]
    assert (row.on, row.differ, row.why) == (True, True, "")
    first, second = views(net, torch.ones_like(X)).outputs
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first, second)


def test_noise_that_views_share_by_plan_is_told_and_is_no_fault():
    net = mlp()
    with Plan(rule("1", Bernoulli(rate=0.5), views="shared")).installed(net):
        report = audit(net, seeded(ROWS, WIDTH))
    row = report["1"]
    assert (row.on, row.differ, row.why) == (True, False, "shared by the plan")
    # Two views of one call share the mask; two calls do not.
    assert report.outputs_differ


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


@pytest.mark.parametrize(
    ("rate", "why"), [(0.0, "rate 0"), (EarlyRate(rate=0.5, steps=1), "rate 0")]
)
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
    assert row.why == "too few draws to tell the views apart"


def convolved(pattern):
    net = nn.Sequential(nn.Conv2d(1, 3, 1))
    Plan(rule("0", pattern)).install(net)
    return audit(net, seeded(20, 1, 6, 6))["0"]


def test_rows_that_a_tiling_left_whole_are_counted():
    # One block of 8 pixels, on a canvas of 13, covers the whole map of 6 in (3 / 13)² of draws.
    pattern = Tiles(size=8, stride=0, repeat=1, shared="channel")
    row = convolved(pattern)
    assert 0 < row.whole < 40
    assert row.why == f"{row.whole} of 40 rows left whole"
    assert convolved(Tiles(size=2, stride=2)).why == ""


@pytest.mark.parametrize("pattern", [Tiles(size=2, stride=0), Tiles(size=3, stride=0, rotate=9)])
def test_a_tiling_without_gaps_is_told_to_change_nothing(pattern):
    row = convolved(pattern)
    assert (row.on, row.whole) == (False, 40)
    assert row.why.startswith("every row left whole")


def test_spans_that_leave_rows_whole_are_told_too():
    net = nn.Sequential(nn.Linear(WIDTH, WIDTH))
    Plan(rule("0", Spans(size=9, stride=1, shared="unit"))).install(net)
    row = audit(net, seeded(50, 4, WIDTH))["0"]
    assert 50 < row.whole < 100
    assert row.why == f"{row.whole} of 100 rows left whole"
