"""Layouts of a model are found once, anew where that is due, and leave no trace on the model."""

import copy
import random
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    BartConfig,
    BartModel,
    DynamicCache,
    EncoderDecoderCache,
    GPT2Config,
    GPT2LMHeadModel,
)

import dropsmith as ds
from batches import zoo
from batches.zoo import ClassTable, assert_stacks, drawn, layout_by_running, seeded, words
from dropsmith.batches import Arguments, arguments
from dropsmith.errors import ViewError
from dropsmith.noise import forget_layouts, layout_of
from dropsmith.noise.lookup import all_noise
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.skippers import STACKS, X, stacked_in


class Counted(nn.Module):
    """Counts its forwards where a module keeps no state."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, []
        self.register_forward_hook(lambda *_: CALLS.append(1))

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


CALLS: list[int] = []


@pytest.fixture(autouse=True)
def counts():
    CALLS.clear()


def test_a_kind_of_batch_is_looked_at_once():
    model = Counted(nn.Linear(4, 2))
    first = layout_of(model, Arguments((drawn(3, 4),), {}))
    assert CALLS
    CALLS.clear()
    for rows in (3, 5, 7):
        assert layout_of(model, Arguments((drawn(rows, 4),), {})) is first
    assert not CALLS


def test_a_coincidence_of_sizes_in_a_later_batch_is_looked_at_anew():
    model = Counted(ClassTable())
    table = drawn(5, 4, seed=3)
    for rows in (3, 5, 4, 1):
        call = Arguments((drawn(rows, 4), table), {})
        layout = layout_of(model, call)
        assert layout.axes == {0: (0,), 1: (None,)}
        assert_stacks(model, layout, call, Arguments((drawn(2, 4, seed=1), table), {}))


@pytest.mark.parametrize("sizes", [(3, 5), (5, 5), (4, 4), (2, 2), (1, 5), (5, 1)])
def test_a_square_mask_beside_later_batches_stays_without_rows(sizes):
    model = seeded(zoo.Attend, 4, 2)
    for batch, time in ((3, 7), sizes):
        mask = torch.full((time, time), float("-inf")).triu(1)
        calls = [Arguments((drawn(batch, time, 4, seed=s), mask), {}) for s in (0, 1)]
        assert_stacks(model, layout_of(model, calls[0]), *calls)


def test_the_number_of_a_step_beside_the_batch_is_no_new_kind():
    class Stepped(nn.Module):
        def forward(self, x, step):
            return x * (1 + step)

    model = Counted(Stepped())
    layout_of(model, Arguments((drawn(3, 4),), {"step": 100}))
    CALLS.clear()
    for step in range(101, 120):
        layout_of(model, Arguments((drawn(3, 4),), {"step": step}))
    assert not CALLS


def test_a_normalisation_that_begins_to_train_is_looked_at_anew():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    model[1].eval()
    call = Arguments((drawn(6, 4),), {})
    assert layout_of(model, call).stackable
    model.train()
    layout = layout_of(model, call)
    assert not layout.stackable
    assert "influence each other's" in layout.dependence
    assert layout_of(model.eval(), call).stackable


def test_a_plan_that_comes_is_looked_at_anew():
    model = Counted(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))).train()
    call = Arguments((drawn(3, 4),), {})
    layout_of(model, call)
    plan = Plan(rule("inner.0", Bernoulli(rate=0.5)))
    with plan.installed(model, drawn(3, 4), seed=0):
        CALLS.clear()
        assert layout_of(model, call).stackable
        assert CALLS
    CALLS.clear()
    layout_of(model, call)
    assert not CALLS


def test_layouts_that_are_forgotten_are_found_again():
    model = Counted(nn.Linear(4, 2))
    call = Arguments((drawn(3, 4),), {})
    layout_of(model, call)
    CALLS.clear()
    forget_layouts(model)
    layout_of(model, call)
    assert CALLS


def test_a_model_that_is_gone_is_not_held():
    from weakref import ref

    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    with Plan(rule("0", Bernoulli(rate=0.5))).installed(model, drawn(3, 4), seed=0):
        layout_of(model, Arguments((drawn(3, 4),), {}))
    gone = ref(model)
    del model
    import gc

    gc.collect()
    assert gone() is None


class Noisy(nn.Module):
    """Draws from every generator, counts in buffers, and keeps a state and a log in attributes."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(4))
        self.state, self.log, self.calls = None, [], 0
        self.given = torch.ones(2)

    def forward(self, x):
        self.count += 1
        self.mean = self.mean * 0.9 + x.mean(0) * 0.1
        self.calls += 1
        self.log.append(x)
        self.given.add_(1)
        self.state = x if self.state is None else self.state.mean() + x
        self.seen = x
        noise = torch.rand(()) + np.random.rand() + random.random()
        return F.dropout(self.norm(self.layer(x)), 0.5, self.training) + noise


@pytest.mark.parametrize("training", [True, False])
def test_generators_buffers_modes_and_attributes_are_as_before(training):
    model = seeded(Noisy).train(training)
    model.norm.eval()
    x = drawn(6, 4)
    before = copy.deepcopy(model)
    buffers, log, given = dict(model.named_buffers()), model.log, model.given
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    layout_of(model, Arguments((x,), {}))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]
    for name, buffer in model.named_buffers():
        assert buffer is buffers[name]
        assert torch.equal(buffer, before.get_buffer(name))
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert (model.calls, model.state) == (0, None)
    assert model.log is log
    assert log == []
    assert model.given is given
    assert given.tolist() == [1, 1]
    assert not hasattr(model, "seen")
    assert torch.equal(x, drawn(6, 4))


def test_a_lazy_layer_is_made_for_good_and_the_model_runs_afterwards():
    model = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d()).train()
    layout_of(model, Arguments((drawn(3, 4),), {}))
    assert model(drawn(3, 4)).shape == (3, 5)


def test_rows_that_somebody_says_are_taken_and_the_rest_is_found():
    model, call = ClassTable(), Arguments((drawn(4, 4), drawn(4, 4, seed=1)), {})
    layout = layout_of(model, call, {"table": None})
    assert layout.axes == {0: (0,), 1: (None,)}
    by_name = Arguments((), {"table": call.args[1], "x": call.args[0]})
    assert layout_of(model, by_name, {"table": None}).axes == {"table": (None,), "x": (0,)}
    assert layout_of(model, by_name, {"x": None, "table": 0}).axes["x"] == (None,)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"tabel": None}, r"names 'tabel', which is no argument[\s\S]*x, table[\s\S]*'table'"),
        (
            {"x": 2},
            r"argument 0 has its rows on axis 2, but it holds[\s\S]*2 axes[\s\S]*None",
        ),
        ({"x": None, "table": None}, "no tensor of the batch"),
    ],
)
def test_rows_that_cannot_be_are_an_error_that_says_what_is_there(rows, words):
    with pytest.raises(ViewError, match=words):
        layout_of(ClassTable(), Arguments((drawn(3, 4), drawn(5, 4)), {}), rows)


def gpt2():
    config = GPT2Config(
        n_embd=8, n_head=2, n_layer=2, vocab_size=12, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    return seeded(GPT2LMHeadModel, config)


def cache_of(model, ids, **given):
    with torch.no_grad():
        return model(ids, use_cache=True, **given).past_key_values


@pytest.mark.parametrize(("batch", "past"), [(3, 5), (2, 2), (4, 4), (1, 3), (2, 8)])
def test_keys_and_values_of_a_cache_have_rows_in_and_out(batch, past):
    model = gpt2()

    def call(seed):
        cache = cache_of(model, words(batch, past, seed=seed))
        return Arguments((words(batch, 2, seed=seed + 1),), {"past_key_values": cache})

    one, other = call(0), call(5)
    layout = layout_of(model, one)
    assert layout.in_place
    assert set(layout.axes["past_key_values"]) <= {0, None}
    assert_stacks(model, layout, one, other)
    assert one.kwargs["past_key_values"].get_seq_length() == past


def test_caches_of_an_encoder_and_a_decoder_have_rows():
    config = BartConfig(
        d_model=8, vocab_size=12, max_position_embeddings=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8,
    )  # fmt: skip
    model = seeded(BartModel, config)

    def call(seed):
        ids, start = words(3, 4, seed=seed), words(3, 2, seed=seed + 1)
        with torch.no_grad():
            output = model(input_ids=ids, decoder_input_ids=start, use_cache=True)
        cache = output.past_key_values
        assert isinstance(cache, EncoderDecoderCache)
        states = (output.encoder_last_hidden_state,)
        return Arguments(
            (),
            {
                "encoder_outputs": states,
                "decoder_input_ids": words(3, 1, seed=seed + 2),
                "past_key_values": cache,
            },
        )

    layout = layout_of(model, call(0))
    assert layout.argument_rows(call(0)) == 3
    assert_stacks(model, layout, call(0), call(7))


def test_a_hybrid_cache_of_states_and_keys_is_cut_by_rows():
    from transformers import JambaConfig, JambaForCausalLM

    config = JambaConfig(
        vocab_size=12, hidden_size=8, intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, attn_layer_offset=1, attn_layer_period=2,
        expert_layer_offset=1, expert_layer_period=2, num_experts=1, num_experts_per_tok=1,
        mamba_d_state=4, mamba_d_conv=2, mamba_expand=2, mamba_dt_rank=2, use_mamba_kernels=False,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = seeded(JambaForCausalLM, config)
    calls = [Arguments((), {"input_ids": words(3, 4, seed=s), "use_cache": True}) for s in (0, 1)]
    layout = layout_of(model, calls[0])
    assert layout.stackable, layout.dependence
    assert_stacks(model, layout, *calls)


def test_a_cache_that_is_returned_is_cut_for_every_view():
    model = gpt2()
    calls = [Arguments((), {"input_ids": words(3, 4, seed=s), "use_cache": True}) for s in (0, 1)]
    layout = layout_of(model, calls[0])
    both = layout.combine(calls)
    with torch.no_grad():
        views = layout.cut(model(**both.kwargs), [3, 3])
    for view, call in zip(views, calls, strict=True):
        cache, expected = view.past_key_values, cache_of(model, call.kwargs["input_ids"])
        assert isinstance(cache, DynamicCache)
        for layer, want in zip(cache.layers, expected.layers, strict=True):
            torch.testing.assert_close(layer.keys, want.keys)
            torch.testing.assert_close(layer.values, want.values)


def test_noise_is_off_while_rows_are_looked_for():
    class Everywhere(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, 0.9, batch_first=True)
            self.lstm = nn.LSTM(4, 4, 2, dropout=0.9, batch_first=True)
            self.drop = nn.Dropout(0.9)

        def forward(self, x):
            x = self.attention(x, x, x, need_weights=False)[0]
            x = F.scaled_dot_product_attention(x, x, x, dropout_p=0.9 * self.training)
            x = F.dropout(x, p=0.9, training=self.training)
            return F.alpha_dropout(self.drop(self.lstm(x)[0]), 0.9, self.training)

    model = seeded(Everywhere).train()
    layout = layout_of(model, Arguments((drawn(3, 2, 4),), {}))
    assert layout.stackable, layout.dependence
    assert all(module.training for module in model.modules())


def test_noise_that_is_drawn_once_for_a_batch_is_not_stacked():
    class Once(nn.Module):
        def forward(self, x):
            return x * F.dropout(torch.ones(1, x.shape[1]), 0.5, self.training)

    layout = layout_of(Once().train(), Arguments((drawn(3, 4),), {}))
    assert "drawn once" in layout.dependence
    assert layout_of(Once().eval(), Arguments((drawn(3, 4),), {})).stackable


def test_running_by_hand_and_looking_up_agree():
    model, batch = (
        seeded(zoo.Positioned),
        {"ids": words(5, 5), "position_ids": torch.arange(5)[None]},
    )
    assert layout_of(model, arguments(model, batch)).axes == layout_by_running(model, batch).axes


def test_a_model_that_writes_into_its_input_in_train_mode_alone_is_given_copies():
    class Masks(nn.Module):
        def forward(self, x):
            if self.training:
                x[torch.rand(x.shape) < 0.5] = 0
            return x * 2

    x = drawn(5, 4)
    layout = layout_of(Masks().train(), Arguments((x,), {}))
    assert layout.in_place
    assert torch.equal(x, drawn(5, 4))


@pytest.mark.parametrize("kind", STACKS)
def test_the_rows_of_a_model_that_skips_layers_are_found_in_train_mode(kind):
    inputs = Arguments((X,), {})
    plain = layout_of(stacked_in(kind, 0.0), inputs)
    # At a low rate two runs may be alike by chance and a third not, as if rows were dependent.
    for rate, seed in product((0.05, 0.1, 0.5), range(6)):
        model = stacked_in(kind, rate)
        torch.manual_seed(seed)
        np.random.seed(seed)
        layout = layout_of(model, inputs)
        assert (layout.dependence, layout.stackable) == ("", True)
        assert str(layout) == str(plain)


@pytest.mark.parametrize(("look", "forwards"), [(ds.sites, 0), (ds.audit, 0), (ds.views, 1)])
def test_looking_at_a_model_counts_no_step_of_a_plan_on_a_part_of_it(look, forwards):
    body = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
    net = nn.Sequential(body, nn.Linear(6, 6), nn.Dropout(0.5))
    x, half = torch.randn(4, 6), Bernoulli(rate=0.5)
    Plan(rule("1", half)).install(body)
    Plan(rule("2", half)).install(net)
    net(x)
    steps = [noise.step for noise in all_noise(net)]
    assert len(steps) == 2
    look(net, x)
    assert [noise.step - before for noise, before in zip(all_noise(net), steps, strict=True)] == [
        forwards,
        forwards,
    ]
    assert layout_of(net, arguments(net, x)).dependence == ""


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(10, 8), nn.LSTM(8, 3, batch_first=True)
        self.dropout = nn.Dropout(0.5)

    def forward(self, ids, lengths=None):
        return self.dropout(self.lstm(self.embedding(ids))[0][:, -1])


EMPTY = {
    "rows": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), torch.ones(0, 4)),
    "pictures": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5)),
        torch.ones(0, 3, 8, 8),
    ),
    "words": (Recurrent, {"ids": torch.zeros(0, 5, dtype=torch.long)}),
    "two arguments": (
        Recurrent,
        {"ids": torch.zeros(0, 5, dtype=torch.long), "lengths": torch.zeros(0)},
    ),
    "no width": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), torch.ones(2, 0)),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("call", [ds.predict, ds.audit, ds.sites, ds.views])
def test_an_empty_batch_is_refused_with_its_sizes(name, call):
    make, batch = EMPTY[name]
    sizes = next(iter(batch.values())) if isinstance(batch, dict) else batch
    with pytest.raises(ViewError, match=r"the batch is empty: [\w ]+ is of sizes ") as error:
        call(make(), batch)
    assert str(tuple(sizes.shape)) in str(error.value)


def test_an_empty_batch_after_a_full_one_is_refused_as_well():
    model = EMPTY["rows"][0]()
    ds.predict(model, torch.ones(3, 4), samples=3)
    with pytest.raises(ViewError, match="the batch is empty"):
        ds.predict(model, torch.ones(0, 4), samples=3)


def test_an_empty_tensor_beside_rows_is_no_empty_batch():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.dropout = nn.Linear(4, 3), nn.Dropout(0.5)

        def forward(self, x, edges):
            return self.dropout(self.layer(x).index_add(0, edges[0], self.layer(x)[edges[1]]))

    edges = torch.zeros(2, 0, dtype=torch.long)
    assert ds.predict(Graph(), (torch.ones(3, 4), edges), samples=4).mean.shape == (3, 3)
