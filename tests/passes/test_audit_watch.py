"""Noise is measured where it falls: modules that lie about theirs are found out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.passes.run_audit import audit
from noise.zoo import (
    Functional,
    Fused,
    seeded,
    sentences,
    tiny_bert,
    tiny_gpt2,
)
from passes.liars import LyingHeads, Recurrent, X, lying, off_by

ROWS, TIME, WIDTH = 8, 6, 8


TRUTHS = pytest.mark.parametrize("truth", [0.0, 0.2, 0.5])


def check(row, truth, flips=None):
    """The row tells the truth, whatever the module declares (one half)."""
    assert row.site.rate == 0.5
    assert off_by(row, truth, flips) < 5
    assert row.on == (truth > 0)
    assert row.why == ("" if truth else "declares rate 0.5 but drops nothing")
    assert row.differ == (truth > 0)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_half_precision_is_measured_without_taking_rounding_for_noise(dtype, rate):
    net = nn.Sequential(Fused(rate), nn.Dropout(rate)).to(dtype)
    report = audit(net, X.to(dtype))
    for row in report.rows:
        assert row.on == (rate > 0)
        assert off_by(row, rate) < 5
