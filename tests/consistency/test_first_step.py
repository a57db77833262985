"""A term that cannot work is an error in the first step, and one that can is not."""

import warnings
from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import dropsmith as ds
from consistency.tiny import PLAN, X, Y, integers, net, of_rows, of_tokens, seeded
from dropsmith.consistency import consistent, terms_of
from dropsmith.errors import ObjectiveError, ViewError
from dropsmith.objectives import RDrop, TaskLoss, TwoSample


def dropping(rate: float = 0.5) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.Dropout(rate), nn.Linear(16, 3))


def test_views_without_noise_are_an_error():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows)
    with pytest.raises(ViewError, match="views of a training step are identical"):
        model(X, labels=Y)


def test_the_error_shows_the_audit_of_a_rate_of_zero():
    model = consistent(dropping(0.0), RDrop(alpha=1), loss=of_rows)
    with pytest.raises(
        ViewError, match=r"noise at every site:\n[\s\S]*\n1 +torch +NO[\s\S]*rate 0"
    ):
        model(X, labels=Y)


def test_the_error_shows_parts_that_were_left_in_eval_mode():
    model = consistent(dropping(), TwoSample(), loss=of_rows)
    model.train()
    model[1].eval()
    with pytest.raises(ViewError, match=r"\n1 .*eval mode"):
        model(X, labels=Y)


def test_the_error_shows_a_mask_that_the_plan_shares_between_views():
    plan = ds.Plan(ds.rule("1", ds.Bernoulli(rate=0.5), views="shared"))
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=plan)
    with pytest.raises(ViewError, match=r"\n1 .*shared by the plan"):
        model(X, labels=Y)


def test_an_audit_that_cannot_run_does_not_hide_what_is_wrong():
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.trained = nn.Linear(6, 3), False

        def forward(self, x):
            if torch.is_grad_enabled() and self.trained:
                raise RuntimeError("one forward only")
            self.trained |= torch.is_grad_enabled()
            return self.head(x)

    model = consistent(Picky(), RDrop(alpha=1), loss=of_rows)
    with pytest.raises(ViewError, match=r"are identical[\s\S]*could not run.*one forward only"):
        model(X, labels=Y)


def test_an_encoder_and_a_decoder_are_audited_with_what_the_decoder_makes_of_the_labels():
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=30, dropout_rate=0.0, decoder_start_token_id=0, **sizes)
    model = consistent(T5ForConditionalGeneration(config).train(), RDrop(alpha=1))
    with pytest.raises(ViewError, match="identical") as raised:
        model(input_ids=integers(30, 4, 7), labels=integers(30, 4, 7))
    assert "could not run" not in str(raised.value)
    assert "encoder.block.0.layer.0.dropout" in str(raised.value)


def test_it_is_an_error_again_in_the_next_step():
    model = consistent(net(), RDrop(alpha=1), loss=of_rows)
    for _ in range(2):
        with pytest.raises(ViewError, match="identical"):
            model(X, labels=Y)


def test_it_is_looked_at_when_the_first_two_views_are_due():
    model = consistent(net(), RDrop(alpha=1, every=2), loss=of_rows)
    model(X, labels=Y)
    with pytest.raises(ViewError, match="identical"):
        model(X, labels=Y)


def test_one_view_has_nothing_to_differ_from():
    consistent(net(), TaskLoss(), loss=of_rows)(X, labels=Y)


@pytest.mark.parametrize("model", [net(), dropping()])
def test_a_head_that_begins_at_zero_is_not_an_error(model):
    nn.init.zeros_(model[2].weight)
    plan = PLAN if isinstance(model[1], nn.Tanh) else None
    consistent(model, RDrop(alpha=1), loss=of_rows, plan=plan)(X, labels=Y)


def test_a_schedule_that_begins_at_zero_is_not_an_error():
    plan = ds.Plan(ds.rule("1", ds.Bernoulli(rate=ds.LateRate(rate=0.5, steps=3))))
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=plan)
    for _ in range(5):
        model(X, labels=Y)


def test_a_rare_pattern_that_left_a_small_batch_alone_is_not_an_error():
    plan = ds.Plan(ds.rule("1", ds.StochasticDepth(rate=0.01)))
    model = consistent(net(), RDrop(alpha=1), loss=of_rows, plan=plan)
    for row in range(8):
        model(X[row : row + 1], labels=Y[row : row + 1])


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_batch_norm_sees_each_view_by_itself_and_one_line_says_so_unasked(mode, capsys):
    parts = nn.Linear(6, 8), nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=0.5), nn.Linear(8, 3)
    model = nn.Sequential(*parts)
    consistent(model, RDrop(alpha=1), loss=of_rows, mode=mode)
    torch.manual_seed(0)
    model(X, labels=Y)
    torch.manual_seed(0)
    first, second = (parts[1](parts[0](X)).mean(0) for _ in range(2))
    torch.testing.assert_close(parts[2].running_mean, 0.25 * first + 0.5 * second)
    assert int(parts[2].num_batches_tracked) == 2
    model(X, labels=Y)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (mode == "auto")
    assert all(
        "made one after the other: the rows of this model influence" in line for line in lines
    )


class TimeFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(20, 8), nn.LSTM(8, 8), nn.Linear(8, 20)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.head(self.drop(self.lstm(self.embed(x))[0]))


@pytest.mark.parametrize("time", [7, 4, 8])
def test_a_batch_with_time_first_has_the_loss_of_looped_views(time):
    words, objective = integers(20, time, 4), RDrop(alpha=1)
    plan = ds.Plan(ds.rule("drop", ds.Bernoulli(rate=0.5), axes="time batch unit"))
    plain = TimeFirst()
    made = [
        consistent(deepcopy(plain), objective, loss=of_tokens, plan=plan, mode=mode)
        for mode in ("auto", "looped")
    ]
    losses = [model(words, labels=words).loss for model in made]
    torch.testing.assert_close(*losses)
    assert all(float(terms_of(model)["consistency"].value) > 0 for model in made)


def test_torchs_own_noise_in_a_batch_with_time_first_is_each_views_own():
    words = integers(20, 7, 4)
    model = consistent(TimeFirst(), RDrop(alpha=1), loss=of_tokens)
    model(words, labels=words).loss.backward()
    assert float(terms_of(model)["consistency"].value) > 0


class FakeForSequenceClassification(nn.Module):
    """Looks like a Hugging Face classifier, and adds something to its loss."""

    def __init__(self, extra: float) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_labels=3, problem_type=None)
        self.net, self.drop, self.extra = net(), nn.Dropout(0.5), extra

    def forward(self, x, labels=None):
        scores = self.net(self.drop(x))
        loss = nn.functional.cross_entropy(scores, labels)
        return {"loss": loss + self.extra, "logits": scores}


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_model_whose_own_loss_is_more_than_was_inferred_is_an_error(mode):
    model = consistent(FakeForSequenceClassification(0.1), RDrop(alpha=1), mode=mode)
    with pytest.raises(ObjectiveError, match=r"loss inferred from its class[\s\S]*loss=function"):
        model(X, labels=Y)
    consistent(FakeForSequenceClassification(0.0), RDrop(alpha=1), mode=mode)(X, labels=Y)


def test_a_given_loss_is_taken_as_it_is():
    def own(output, batch):
        return of_rows(output["logits"], batch)

    model = consistent(FakeForSequenceClassification(0.1), RDrop(alpha=1), loss=own)
    model(X, labels=Y)


def test_a_batch_without_a_single_label_does_not_count_as_compared():
    model = consistent(FakeForSequenceClassification(0.1), RDrop(alpha=1))
    model(X, labels=torch.full_like(Y, -100))
    with pytest.raises(ObjectiveError, match="loss inferred"):
        model(X, labels=Y)


def test_nothing_is_looked_at_after_the_first_steps():
    model = consistent(dropping(), RDrop(alpha=1), loss=of_rows)
    model(X, labels=Y)
    model[1].p = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model(seeded(8, 6), labels=Y).loss.isfinite()


class DroppedHere(nn.Module):
    """Dropout in the root's own forward, before a head."""

    def __init__(self, classes=3):
        super().__init__()
        self.head = nn.Linear(6, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(nn.functional.dropout(x, 0.5, self.training))


class DroppedInside(DroppedHere):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.head(self.drop(x))


@pytest.mark.parametrize("make", [DroppedHere, DroppedInside])
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_head_that_begins_at_zero_behind_dropout_is_no_fault(make, mode):
    model = consistent(make(), RDrop(alpha=1), loss=of_rows, mode=mode)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        model(X, labels=Y).loss.backward()
        optimizer.step()


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_views_that_a_low_rate_leaves_equal_are_looked_at_again(mode):
    model = consistent(dropping(1e-9), RDrop(alpha=1), loss=of_rows, mode=mode)
    for _ in range(9):
        model(X, labels=Y)
    with pytest.raises(ViewError, match="identical"):
        model(X, labels=Y)
    model = consistent(dropping(1e-9), RDrop(alpha=1), loss=of_rows, mode=mode)
    for step in range(20):
        model[1].p = 1e-9 if step < 5 else 0.5
        model(X, labels=Y).loss.backward()


class BesideTable(nn.Module):
    """Dropout on a table that is no part of the batch."""

    def __init__(self, rows, functional):
        super().__init__()
        self.register_buffer("table", torch.arange(rows * 6.0).view(rows, 6) % 5)
        self.drop, self.head, self.functional = nn.Dropout(0.0), nn.Linear(6, 3), functional

    def forward(self, x):
        table = self.table
        table = nn.functional.dropout(table, 0.0) if self.functional else self.drop(table)
        return self.head(x + table.mean(0))


@pytest.mark.parametrize("rows", [8, 16, 5, 32])
@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_rate_of_zero_beside_the_batch_does_not_hide_that_nothing_drops(rows, functional, mode):
    model = consistent(BesideTable(rows, functional), RDrop(alpha=1), loss=of_rows, mode=mode)
    with pytest.raises(ViewError, match="identical"):
        model(X, labels=Y)


class Chosen(nn.Module):
    """It returns what it has chosen before the scores by which it has."""

    def __init__(self):
        super().__init__()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(6, 3)

    def forward(self, x):
        scores = 1e-3 * self.head(self.drop(x)) + torch.tensor([9.0, 0.0, 0.0])
        return scores.argmax(-1), scores


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_views_are_compared_by_scores_and_not_by_the_integers_before_them(mode):
    model = consistent(Chosen(), RDrop(alpha=1), loss="classification", mode=mode)
    for _ in range(12):
        model(X, labels=Y).loss.backward()
    assert float(ds.terms_of(model)["consistency"].value) > 0
