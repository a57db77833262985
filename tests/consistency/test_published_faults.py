"""Faults found around published R-Drop losses: in passes, evaluation, scores and scripts.

Every test first shows the fault in the few lines that make it, then that it is not here. Those in
the losses themselves stand in `tests/objectives/test_published_faults.py`.
"""

import contextlib
import math

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy, dropout

import dropsmith as ds
from consistency.hugging_face import bert, gpt2, seed_and_make, words
from consistency.tiny import X, Y, integers
from consistency.transformers_zoo import MODELS as TRANSFORMERS
from dropsmith.consistency import consistent
from dropsmith.errors import ObjectiveError, TaskError, ViewError
from dropsmith.kernels.attention_divergence.reference import matrix
from dropsmith.objectives import RDrop
from dropsmith.passes.make_views import views
from dropsmith.plans.plan import Plan
from dropsmith.tasks import Budget, find_task
from dropsmith.tasks.generation import bleu
from dropsmith.train import Setup, evaluate, task_and_data, train

R_DROP = RDrop(alpha=1.0)


def dropping() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))


def test_validation_sees_each_example_once_and_its_perplexity_is_not_squared():
    """Published criteria double the batch in validation, and divide by the tokens of one."""
    model = consistent(dropping(), R_DROP, loss="classification").eval()
    fault = model(torch.cat([X, X])).detach()
    doubled = cross_entropy(fault, torch.cat([Y, Y]), reduction="sum").item() / len(Y)
    rows = []
    model.register_forward_hook(lambda module, args, output: rows.append(len(args[0])))
    once = cross_entropy(model(X), Y).item()
    assert rows == [len(X)]
    assert math.exp(doubled) == pytest.approx(math.exp(once) ** 2, rel=1e-5)


def test_a_language_model_is_given_no_decoder_inputs():
    """Published code asks batches of running text for the inputs of a decoder they have not."""
    with pytest.raises(KeyError):
        _ = {"input_ids": words()}["prev_output_tokens"]
    loss = consistent(gpt2(0.3), R_DROP)(input_ids=words(), labels=words()).loss
    assert loss.isfinite()


def test_a_script_that_names_what_is_not_there_ends_before_training():
    """Published scripts name tasks and functions that are registered under other names."""
    with pytest.raises(TaskError, match=r"no task is called 'sst-2'[\s\S]*did you mean 'sst2'"):
        find_task("sst-2")


def setup(**changes):
    budget = Budget(epochs=4, batch_size=30, learning_rate=1e-2)
    plan = find_task("digits").plan("dropout", 0.5)
    settings = {"method": "r-drop", "plan": plan, "objective": R_DROP, "limit": 60}
    return Setup(task="digits", budget=budget, seed=0, **settings | changes)


def test_scores_are_taken_without_dropout_however_the_model_was_left():
    """Published code turns dropout on, at rate 0.2, before it scores the test set."""
    task, data = task_and_data(setup())
    model = task.model(data).train()
    with setup().plan.installed(model, data.train.rows(slice(0, 2))):
        rows = data.test.rows(slice(0, 50))
        image = rows["image"]
        assert not torch.equal(model(image), model(image))
        noisy = cross_entropy(dropout(model.eval()(image), 0.2), rows["labels"])
        found = evaluate(model.train(), task, data.test)
        assert model.training
    noise_free = evaluate(model.eval(), task, data.test)
    assert found == noise_free
    assert noisy != cross_entropy(model(image), rows["labels"])


def test_the_weights_are_chosen_on_validation_and_the_test_is_scored_once(tmp_path):
    """A published script keeps the weights that are best on the test set."""
    record = train(setup(), tmp_path)
    assert not any(name.startswith("test_") for row in record.curve for name in row)
    best = min(row["validation_nll"] for row in record.curve)
    assert record.scores["validation_nll"] == pytest.approx(best)


def test_bleu_is_not_raised_by_splitting_words_at_hyphens():
    """Published scores are of texts whose hyphens were made words of their own."""
    text, reference = "a well-known state-of-the-art film", "a well-known state-of-the-art movie"

    def split(line: str) -> str:
        return line.replace("-", " ##AT##-##AT## ")

    fault, ours = (
        bleu([change(text)], [(change(reference),)]) for change in (split, lambda line: line)
    )
    assert fault.scores["bleu"] > ours.scores["bleu"] + 5
    assert "tok:13a" in ours.signatures["BLEU"]


class Rows(nn.Module):
    """Drops rows of its table for the whole batch, as published embedding dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = dropout(torch.ones(20, 1), 0.5, self.training) if self.training else 1.0
        return nn.functional.embedding(x, self.table.weight * mask)


def test_words_that_a_whole_batch_drops_fall_in_each_view_by_themselves():
    ids = integers(20, 6, 5)
    first, second = Rows()(torch.cat([ids, ids])).chunk(2)
    assert torch.equal(first, second)  # the fault: nothing for two views to differ in
    table = nn.Embedding(20, 8)
    with Plan(ds.rule("root", ds.WordDropout(rate=0.5))).installed(table):
        for mode in ("stacked", "looped"):
            one, other = views(table, ids, mode=mode).outputs
            assert not torch.equal(one, other)


def test_weights_that_a_whole_batch_drops_are_dropped_in_each_view_by_itself():
    layer = nn.Linear(6, 3)
    with Plan(ds.rule("weight", ds.DropConnect(rate=0.5))).installed(layer):
        first, second = layer(torch.cat([X, X])).chunk(2)
        assert torch.equal(first, second)
        one, other = views(layer, X).outputs
        assert not torch.equal(one, other)


def layer_dropping() -> nn.Module:
    from transformers import BartConfig

    sides = {
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in (("layers", 8), ("attention_heads", 2), ("ffn_dim", 16))
    }
    rates = dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.0)
    config = BartConfig(
        vocab_size=30,
        d_model=16,
        max_position_embeddings=16,
        encoder_layerdrop=0.5,
        init_std=0.5,
        **sides,
        **rates,
    )
    return seed_and_make("BartForConditionalGeneration", config)


def test_whole_layers_that_a_batch_drops_are_dropped_in_each_view_by_itself():
    batch = {"input_ids": words(), "labels": words()}
    model = layer_dropping()
    twice = {name: torch.cat([rows, rows]) for name, rows in batch.items()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = model(**twice).logits.chunk(2)
        torch.testing.assert_close(first, second)  # one layer's draw for all rows
        consistent(model, R_DROP)(**batch).loss.backward()
    assert float(ds.terms_of(model)["consistency"].value) > 1e-4


def test_layers_that_are_compared_run_in_all_views_or_in_none():
    model = consistent(layer_dropping(), ds.LRDrop())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with contextlib.suppress(ViewError):  # where not even rounding tells the views apart
            model(input_ids=words(), labels=words())
    assert all(float(t.value) < 1e-6 for name, t in ds.terms_of(model).items() if name != "task")


class SkippedRows(nn.Module):
    """Skips its branch for the whole batch, as torchvision's `StochasticDepth("batch")` does."""

    def __init__(self) -> None:
        super().__init__()
        self.p, self.mode = 0.5, "batch"
        self.branch, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skipped = self.training and bool(torch.rand(()) < self.p)
        return self.head(x if skipped else x + self.branch(x))


def test_branches_that_a_whole_batch_skips_are_skipped_in_each_view_by_itself():
    model, apart = SkippedRows(), []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(20):
            first, second = model(torch.cat([X, X])).chunk(2)
            torch.testing.assert_close(first, second)  # one draw for both
            one, other = views(model, X).outputs
            apart.append(not torch.allclose(one, other))
    assert any(apart)
    assert not all(apart)


class Weakened(nn.Module):
    """Drops its weight by code of its own, one mask for a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 20), nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = dropout(self.layer.weight, 0.5, self.training)
        return self.head(nn.functional.linear(x, weight, self.layer.bias))


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_noise_that_a_models_own_code_draws_once_for_a_batch_is_drawn_for_each_view(mode, capsys):
    first, second = Weakened()(torch.cat([X, X])).chunk(2)
    torch.testing.assert_close(first, second)  # the fault: nothing for two views to differ in
    model = consistent(Weakened(), R_DROP, loss="classification", mode=mode)
    model(X, labels=Y)
    assert float(ds.terms_of(model)["consistency"].value) > 1e-4
    said = capsys.readouterr().err
    assert ("some noise of the model is drawn once for the whole batch" in said) == (mode == "auto")


def attentive(how: str) -> nn.Module:
    return TRANSFORMERS["bert"][0](how, rate=0.5)


def test_attention_that_a_fused_kernel_does_not_return_is_compared_all_the_same():
    """Asked for it, the fused kernels of transformers return nothing, of which the sum is zero."""
    batch = TRANSFORMERS["bert"][1]()
    assert sum(attentive("sdpa")(**batch, output_attentions=True).attentions) == 0
    model = consistent(attentive("sdpa"), ds.LRDrop())
    model(**batch)
    term = ds.terms_of(model)["attention"]
    assert term.count > 0
    assert term.sum > 0


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_attention_is_compared_before_its_dropout(how):
    """What transformers return in train mode is after it, and its rows do not sum to one."""
    batch = TRANSFORMERS["bert"][1]()
    returned = attentive("eager")(**batch, output_attentions=True).attentions[0]
    assert not torch.allclose(returned.sum(-1), torch.ones(()))
    seen = views(attentive(how), batch, reads=ds.LRDrop().reads).layers[0][0].attention[0][1]
    assert isinstance(seen, torch.Tensor) == (how == "eager")
    read = seen if isinstance(seen, torch.Tensor) else matrix(seen)
    torch.testing.assert_close(read.sum(-1), torch.ones(read.shape[:-1]))


def test_classes_that_are_trained_as_values_are_an_error():
    """A published script leaves its flag for regression on in a task of two classes."""
    model = bert("ForSequenceClassification", num_labels=2, problem_type="regression")
    with pytest.raises(ObjectiveError, match=r"the task is regression, .* compares classification"):
        consistent(model, R_DROP)


class Normalising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.norm(x)))


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_batch_norm_learns_from_each_view_by_itself(mode):
    """In a doubled batch it learns once, from both views together."""
    fault, model = Normalising(), Normalising()
    fault(torch.cat([X, X]))
    assert int(fault.norm.num_batches_tracked) == 1
    consistent(model, R_DROP, loss="classification", mode=mode)
    model(X, labels=Y).loss.backward()
    assert int(model.norm.num_batches_tracked) == 2
    mean, variance = torch.zeros(6), torch.ones(6)
    for _ in range(2):
        mean, variance = 0.9 * mean + 0.1 * X.mean(0), 0.9 * variance + 0.1 * X.var(0)
    torch.testing.assert_close((model.norm.running_mean, model.norm.running_var), (mean, variance))


class Remembering(nn.Module):
    """Keeps a mean of what it was given in a buffer that it changes in place, and uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean.mul_(0.9).add_(0.1 * x.mean(0))
        return self.head(self.drop(x * self.mean) * self.mean.exp())


def test_a_buffer_changed_in_place_does_not_stop_the_backward_pass():
    """Users of published code cut a graph off to be rid of this error, and lost what it taught."""
    net, rows = Remembering(), X.clone().requires_grad_()
    first, second = net(rows), net(rows)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (first + second).sum().backward()
    consistent(Remembering(), R_DROP, loss="classification")(rows, labels=Y).loss.backward()
    assert rows.grad is not None
    assert rows.grad.any()


@pytest.fixture
def alone(tmp_path):
    """A group of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_two_views_in_one_forward_go_backward_through_ddp_and_batch_norm(mode, alone):
    inner = consistent(Normalising(), R_DROP, loss="classification", mode=mode)
    model = nn.parallel.DistributedDataParallel(inner)
    for _ in range(2):
        model(X, labels=Y).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
