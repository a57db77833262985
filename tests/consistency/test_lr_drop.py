"""LR-Drop inside the models people train: its terms are those of the matrices eager code makes."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import dropsmith as ds
from consistency.hugging_face import VOCABULARY, seed_and_make
from consistency.transformers_zoo import LABELLED, MODELS, REAL, TIME, Batch, bart_like, ids
from dropsmith.errors import PlanError, SiteError
from dropsmith.models import SmallTransformer, transformer_plan
from dropsmith.objectives.losses import regression
from dropsmith.terms import Loss

WORDS = int(REAL.sum())
PAIRS = sum(int(n) ** 2 for n in REAL.sum(1))
CAUSAL = sum(int(n) * (int(n) + 1) // 2 for n in REAL.sum(1))


def trained(model: nn.Module, objective: Any, batch: Batch, **how: Any) -> tuple[Any, Any]:
    """The terms of one step, and the gradients of the whole loss."""
    torch.manual_seed(1)
    model = ds.consistent(model, objective, **how)
    model(**batch).loss.backward()
    terms = ds.terms_of(model)
    ds.restore(model)
    return terms, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


class Softmaxes(torch.overrides.TorchFunctionMode):
    """What a model that writes its attention out computes before any dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        softmax = func in (F.softmax, torch.softmax, Tensor.softmax) and args[0].ndim == 4
        if not softmax or not torch.is_grad_enabled():  # without gradients a few rows are tried
            return func(*args, **kwargs)
        # Some models round to float32 here, also where they run in float64.
        self.seen.append(args[0].softmax(-1))
        return self.seen[-1]


def noted_in(seen: list[Tensor]) -> Any:
    """A hook that notes what a module returns, but where a few rows are tried without gradients."""

    def note(module: nn.Module, args: Any, output: Tensor) -> None:
        if torch.is_grad_enabled():
            seen.append(output)

    return note


def shaken(model: nn.Module) -> ds.Plan:
    """Keyed noise on the words: the same whichever way attention is computed."""
    return ds.Plan(ds.rule(words_of(model), ds.Bernoulli(rate=0.3)))


def words_of(model: nn.Module) -> str:
    """The first table of words that is called, and not only kept."""
    tables = [name for name, m in model.named_modules() if isinstance(m, nn.Embedding)]
    return next(name for name in tables if not name.endswith("shared"))


def by_hand(matrices: list[Tensor], causal: bool, distance: str) -> Tensor:
    """The mean over layers, rows, heads, real queries and (if squared) keys, one by one."""
    found = []
    for matrix in matrices:
        p, q = matrix.chunk(2)
        for row, length in enumerate(REAL.sum(1).tolist()):
            for head in range(p.shape[1]):
                for query in range(length):
                    last = query + 1 if causal else length
                    a, b = (x[row, head, query, :last] for x in (p, q))
                    found += apart(a, b, distance)
    return torch.stack(found).mean()


def apart(a: Tensor, b: Tensor, distance: str) -> list[Tensor]:
    if distance == "squared":
        return list((a - b) ** 2)
    if distance == "symmetric_kl":
        return [(F.kl_div(b.log(), a) + F.kl_div(a.log(), b)) * len(a) / 2]
    middle = (a + b) / 2
    return [(F.kl_div(middle.log(), a) + F.kl_div(middle.log(), b)) * len(a) / 2]


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("distance", ["squared", "symmetric_kl", "jensen_shannon"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_blocked_terms_and_gradients_are_those_of_the_eager_matrices(name, distance):
    make, batch = MODELS[name]
    objective = ds.LRDrop(hidden=0, output=0, attention=7.0, attention_distance=distance)
    eager, fused = make("eager", rate=0.0).double(), make("sdpa", rate=0.0).double()
    with shaken(fused).installed(fused):
        terms, grads = trained(fused, objective, batch())
    with shaken(eager).installed(eager), Softmaxes() as matrices:
        made = ds.views(eager, batch(), 2)
    wanted = by_hand(matrices.seen, name != "bert", distance)
    assert wanted > 0
    torch.testing.assert_close(terms["attention"].value, wanted.detach())
    # The model's own loss over the stacked batch is the mean over both views.
    (made.outputs[0].loss + 7.0 / 2 * wanted).backward()
    assert grads
    for parameter, grad in grads.items():
        torch.testing.assert_close(grad, eager.get_parameter(parameter).grad)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_every_part_is_there_in_every_kind_of_model(name, mode):
    make, batch = MODELS[name]
    model = make()
    terms, grads = trained(model, ds.LRDrop(), batch(), mode=mode)
    assert all(term.sum > 0 for term in terms.values())
    parts = {term.split(" ")[0] for term in terms}
    cross = {"cross"} if name in ("bart", "marian", "t5") else set()
    assert parts == {"task", "consistency", "hidden", "attention"} | cross
    assert all(grad.isfinite().all() for grad in grads.values())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("name", [name for name in MODELS if name != "deberta"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_only_real_tokens_and_pairs_are_counted(name, attention):
    make, batch = MODELS[name]
    counts = {k: int(t.count) for k, t in trained(make(attention), ds.LRDrop(), batch())[0].items()}
    layers, heads, width = 2, 2, 16
    if name in ("bart", "marian", "t5"):
        inner, outer = [s for s in counts if s.startswith("hidden")]
        labelled = LABELLED.sum(1).tolist()
        own = sum(n * (n + 1) // 2 for n in labelled)
        across = sum(n * int(m) for n, m in zip(labelled, REAL.sum(1), strict=True))
        assert counts[outer] == sum(labelled) * width * layers
        assert counts[outer.replace("hidden", "attention")] == own * heads * layers
        assert counts[outer.replace("hidden", "cross")] == across * heads * layers
        counts = {k: v for k, v in counts.items() if not k.endswith(outer.split(" ")[1])}
        counts = {k.split(" ")[0]: v for k, v in counts.items()}
        assert inner.startswith("hidden")
    words, pairs = (3 * 5, 3 * 25) if name == "vit" else (WORDS, PAIRS)
    if name in ("gpt2", "llama"):
        pairs = CAUSAL
    assert counts["hidden"] == words * width * layers
    assert counts["attention"] == pairs * heads * layers


def test_a_decoder_that_classifies_has_the_padding_of_what_its_encoder_reads():
    model = bart_like("Bart", "BartForSequenceClassification")()
    ends = ids().scatter(1, REAL.sum(1, keepdim=True) - 1, 2)  # its score is read off the end
    batch = {"input_ids": ends, "attention_mask": REAL, "labels": torch.tensor([0, 1, 2])}
    terms, _ = trained(model, ds.LRDrop(), batch)
    hidden = [int(term.count) for name, term in terms.items() if name.startswith("hidden")]
    assert hidden == [WORDS * 16 * 2] * 2


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_padding_changes_no_term(name):
    make, batch = MODELS[name]
    model, given = make(rate=0.0), batch()
    longer = {
        k: F.pad(v, (0, 3), value=-100 if k == "labels" else 0) if v.ndim == 2 else v
        for k, v in given.items()
    }
    plan = ds.Plan(
        ds.rule(words_of(model), ds.WordDropout(rate=0.5))
    )  # by word, so the same with more padding
    found = []
    for one in (given, longer):
        with plan.installed(model):
            found.append(trained(model, ds.LRDrop(), one)[0])
    for term in found[0]:
        assert int(found[0][term].count) == int(found[1][term].count)
        torch.testing.assert_close(found[0][term].sum, found[1][term].sum, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("hidden_at", ["block", "feed-forward"])
def test_hidden_states_are_those_the_model_itself_reports(hidden_at):
    make, batch = MODELS["bert"]
    model = make(rate=0.0)
    plan, seen = shaken(model), []
    with plan.installed(model):
        objective = ds.LRDrop(hidden_at=hidden_at, attention=0)
        terms, _ = trained(model, objective, batch())
        ds.step(model, 0)
        feeds = [layer.output.dense for layer in model.bert.encoder.layer]
        handles = [f.register_forward_hook(noted_in(seen)) for f in feeds]
        made = ds.views(model, batch() | {"output_hidden_states": True}, 2)
    for handle in handles:
        handle.remove()
    if hidden_at == "block":
        pairs = list(zip(*(one.hidden_states[1:] for one in made.outputs), strict=True))
    else:
        pairs = [state.chunk(2) for state in seen]
    gaps = torch.stack([a[row, t] - b[row, t] for a, b in pairs for row, t in REAL.nonzero()])
    torch.testing.assert_close(terms["hidden"].value, gaps.square().mean().detach())


def test_a_plain_encoder_and_a_plain_layer_are_read():
    for model in (
        nn.TransformerEncoderLayer(16, 2, 24, 0.2, batch_first=True),
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 24, 0.2, batch_first=True),
            2,
            enable_nested_tensor=False,
        ),
    ):
        labels = torch.randn(3, TIME, 16)

        def loss(output: Any, batch: Any) -> Loss:
            return regression(output, batch["labels"])

        model = ds.consistent(model, ds.LRDrop(kind="regression"), loss=loss)
        given = {"src": torch.randn(3, TIME, 16), "src_key_padding_mask": REAL == 0}
        model(**given, labels=labels).loss.backward()
        terms = ds.terms_of(model)
        layers = 1 if isinstance(model, nn.TransformerEncoderLayer) else 2
        assert int(terms["hidden"].count) == WORDS * 16 * layers
        assert int(terms["attention"].count) == PAIRS * 2 * layers
        # Attention of a first layer sees no noise yet, and so is the same in both views.
        assert (terms["attention"].sum > 0) == (layers == 2)


class Turning(nn.Module):
    """Torch's encoder as it is made unasked, with time in dimension 0 inside."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 24, 0.2)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.encoder(x.transpose(0, 1), src_key_padding_mask=padding).transpose(0, 1)


def xlnet() -> nn.Module:
    from transformers import XLNetConfig

    sizes = {"vocab_size": VOCABULARY, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24}
    return seed_and_make("XLNetForSequenceClassification", XLNetConfig(**sizes, dropout=0.2))


def time_first(name: str, time: int) -> tuple[nn.Module, list[nn.Module], Batch, Any]:
    """A model that keeps time in dimension 0, the ends of its feed-forward parts, and a batch."""
    real = REAL[:, :time]
    if name == "torch":
        x, model = torch.randn(3, time, 16), Turning()
        feeds = [layer.linear2 for layer in model.encoder.layers]
        how = {"objective": ds.LRDrop(kind="regression"), "loss": "regression"}
        return model, feeds, {"x": x, "padding": real == 0, "labels": x}, how
    model: Any = xlnet()
    batch = {"input_ids": ids()[:, :time], "attention_mask": real, "labels": torch.arange(3) % 2}
    feeds = [layer.ff.layer_2 for layer in model.transformer.layer]
    return model, feeds, batch, {"objective": ds.LRDrop()}


# Stacked the batch has six rows, looped three. As many words as rows tell nothing by their sizes,
# but of torch's own layers it is known.
@pytest.mark.parametrize(
    ("name", "mode", "time"),
    [
        ("torch", "auto", 6),
        ("torch", "auto", 5),
        ("torch", "looped", 3),
        ("torch", "looped", 6),
        ("xlnet", "auto", 5),
        ("xlnet", "looped", 6),
    ],
)
def test_states_of_layers_that_keep_time_first_are_compared_word_by_word(name, mode, time):
    model, feeds, batch, how = time_first(name, time)
    seen: list[Tensor] = []
    handles = [f.register_forward_hook(noted_in(seen)) for f in feeds]
    terms, _ = trained(model, how.pop("objective"), batch, mode=mode, **how)
    for handle in handles:
        handle.remove()
    layers = len(feeds)
    pairs = (
        [state.chunk(2, 1) for state in seen]
        if mode == "auto"
        else list(zip(seen[:layers], seen[layers:], strict=True))
    )
    words = REAL[:, :time].nonzero()
    gaps = torch.stack([a[t, row] - b[t, row] for a, b in pairs for row, t in words])
    torch.testing.assert_close(terms["hidden"].value, gaps.square().mean().detach())
    assert int(terms["hidden"].count) == gaps.numel()


def test_our_own_small_transformer_is_read():
    model = SmallTransformer(words=40, classes=2, length=9)
    model = ds.consistent(
        model, ds.LRDrop(), plan=transformer_plan("dropout", 0.2), loss="classification"
    )
    model(tokens=ids() * REAL, labels=torch.tensor([0, 1, 0])).loss.backward()
    terms = ds.terms_of(model)
    assert int(terms["hidden"].count) == WORDS * 64 * 2
    assert int(terms["attention"].count) == PAIRS * 4 * 2
    assert all(term.sum > 0 for term in terms.values())


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_checkpointed_blocks_give_the_same_terms_and_gradients(name):
    make, batch = MODELS[name]
    found = []
    for checkpointed in (False, True):
        model = make()
        if checkpointed:
            model.activation_checkpointing_enable({"use_reentrant": False})
        found.append(trained(model, ds.LRDrop(), batch()))
    (terms, grads), (others, same) = found
    assert {k: float(v.sum) for k, v in terms.items()} == {
        k: float(v.sum) for k, v in others.items()
    }
    for parameter, grad in grads.items():
        torch.testing.assert_close(grad, same[parameter])


def test_a_checkpointed_multi_head_attention_is_not_asked_for_more_when_it_is_run_again():
    torch.manual_seed(0)

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = partial(nn.TransformerEncoderLayer, 16, 2, 24, 0.2, batch_first=True)
            self.layers = nn.ModuleList([layer(), layer()])

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = checkpoint(layer, x, use_reentrant=False)
            return x

    def loss(output: Any, batch: Any) -> Loss:
        return regression(output, batch["labels"])

    given = torch.randn(3, TIME, 16)
    model = Checkpointed()
    terms, grads = trained(
        model, ds.LRDrop(kind="regression"), {"x": given, "labels": given}, loss=loss
    )
    assert terms["attention"].sum > 0
    assert grads["layers.0.self_attn.in_proj_weight"].any()


def test_attention_without_a_graph_is_refused():
    make, batch = MODELS["bert"]
    model = make()
    model.activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(SiteError, match=r"runs without gradients[\s\S]*use_reentrant=False"):
        trained(model, ds.LRDrop(), batch())


class Hidden(nn.Module):
    """Attention whose probabilities no dropout and no fused call ever shows."""

    def forward(self, x: Tensor) -> Tensor:
        return (x @ x.transpose(1, 2)).softmax(-1) @ x


class Block(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention, self.feed = attention, nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.feed(x + self.attention(x))


class Shown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x)


def hand_written(*attention: nn.Module) -> nn.Module:
    model = nn.Module()
    model.layers = nn.ModuleList(map(Block, attention))
    model.drop = nn.Dropout(0.3)

    def forward(x: Tensor) -> Tensor:
        for layer in model.layers:
            x = layer(model.drop(x))
        return x

    model.forward = forward  # type: ignore[method-assign]
    return model


def test_attention_that_is_not_seen_never_passes_for_agreement():
    batch = {"x": torch.randn(3, TIME, 16), "labels": torch.randn(3, TIME, 16)}
    how: Any = {"loss": "regression"}
    with pytest.raises(SiteError, match=r"found no attention[\s\S]*scaled_dot_product"):
        trained(hand_written(Hidden(), Hidden()), ds.LRDrop(kind="regression"), batch, **how)
    named = ds.LRDrop(kind="regression", blocks="layers.*")
    with pytest.raises(SiteError, match=r"'layers\.1': its attention cannot be read"):
        trained(hand_written(Shown(), Hidden()), named, batch, **how)
    terms, _ = trained(hand_written(Shown(), Shown()), ds.LRDrop(kind="regression"), batch, **how)
    assert terms["attention"].sum > 0
    only = ds.LRDrop(kind="regression", attention=0, blocks="layers.*")
    terms, _ = trained(hand_written(Shown(), Hidden()), only, batch, **how)
    assert "attention" not in terms


def test_a_projection_of_attention_is_not_taken_for_a_feed_forward_part():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(16, 16)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(F.scaled_dot_product_attention(x, x, x))

    class Turned(nn.Module):
        """Made in another order than it runs in."""

        def __init__(self) -> None:
            super().__init__()
            self.feed, self.attention = nn.Linear(16, 16), Attention()

        def forward(self, x: Tensor) -> Tensor:
            return self.feed(x + self.attention(x))

    x = torch.randn(3, TIME, 16)
    model = nn.Sequential(nn.Dropout(0.3), nn.Sequential(Turned(), Turned()))
    batch, how = {"input": x, "labels": x}, {"loss": "regression"}
    with pytest.raises(SiteError, match=r"last projection of block '1\.0', '1\.0\.attention\.out'"):
        trained(model, ds.LRDrop(kind="regression"), batch, **how)
    ds.restore(model)
    terms, _ = trained(model, ds.LRDrop(kind="regression", hidden_at="block"), batch, **how)
    assert terms["hidden"].sum > 0


def test_without_coefficients_for_layers_it_is_r_drop():
    make, batch = MODELS["bert"]
    found = [
        trained(make(), objective, batch())[1]
        for objective in (ds.RDrop(alpha=5), ds.LRDrop(hidden=0, attention=0, output=5))
    ]
    for parameter, grad in found[0].items():
        torch.testing.assert_close(grad, found[1][parameter], rtol=1e-5, atol=1e-7)


def test_layers_that_are_chosen_are_the_only_ones():
    make, batch = MODELS["bert"]
    whole, last, first = (
        trained(make(), ds.LRDrop(layers=layers), batch())[0] for layers in (None, (-1,), (0,))
    )
    for term in ("hidden", "attention"):
        torch.testing.assert_close(last[term].sum + first[term].sum, whole[term].sum)
        assert int(last[term].count + first[term].count) == int(whole[term].count)
    with pytest.raises(ValueError, match=r"no layer 2 in 'bert\.encoder\.layer': it has 2"):
        trained(make(), ds.LRDrop(layers=(2,)), batch())


def test_a_share_of_the_batch_and_other_steps_are_those_of_the_objective():
    make, batch = MODELS["bert"]
    terms, _ = trained(make(), ds.LRDrop(batch_fraction=0.5), batch())
    rows = REAL[:2].sum(1).tolist()
    assert int(terms["hidden"].count) == sum(rows) * 16 * 2
    assert int(terms["attention"].count) == sum(n * n for n in rows) * 2 * 2
    model = ds.consistent(make(), ds.LRDrop(every=2))
    for step in (1, 2):
        model(**batch()).loss.backward()
        assert ("hidden" in ds.terms_of(model)) == (step == 2)


def test_a_failing_forward_leaves_no_hooks_of_reading_behind():
    make, batch = MODELS["bert"]
    model = ds.consistent(make(), ds.LRDrop())
    with pytest.raises(Exception, match=r"."):
        model(**batch() | {"input_ids": ids() + 1000})
    model(**batch()).loss.backward()
    ds.restore(model)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with pytest.raises(PlanError):
        ds.restore(model)


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_rows_that_a_path_drops_are_read_all_the_same(mode):
    make, batch = MODELS["bert"]
    model = make(rate=0.0)
    plan = ds.Plan(ds.rule("bert.encoder.layer.*.attention.self", ds.StochasticDepth(rate=0.5)))
    with plan.installed(model):
        terms, _ = trained(model, ds.LRDrop(), batch(), mode=mode)
    assert int(terms["attention"].count) == PAIRS * 2 * 2


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_adapters_are_read_with_what_they_adapt():
    peft = pytest.importorskip("peft")
    make, batch = MODELS["bert"]
    config = peft.LoraConfig(r=2, target_modules=["dense"], init_lora_weights=False)
    model = peft.get_peft_model(make(), config)
    inner = model.base_model.model
    terms, grads = trained(inner, ds.LRDrop(), batch())
    assert int(terms["hidden"].count) == WORDS * 16 * 2
    assert any("lora" in name and grad.any() for name, grad in grads.items())


class Encoder(nn.Module):
    """Two of torch's own layers, to which others come."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(encoder_layer() for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


def encoder_layer():
    return nn.TransformerEncoderLayer(16, 2, 32, 0.2, batch_first=True)


class Adapted(nn.Module):
    """A linear layer with a small one beside it, as adapters put in its place."""

    def __init__(self, base):
        super().__init__()
        self.base, self.beside = base, nn.Linear(base.in_features, base.out_features)

    def forward(self, x):
        return self.base(x) + self.beside(x)


CHANGES = {
    "append": lambda model: model.layers.append(encoder_layer()),
    "replace": lambda model: setattr(model.layers, "1", encoder_layer()),
    "delete": lambda model: model.layers.__delitem__(0),
    "adapt": lambda model: setattr(model.layers[1], "linear2", Adapted(model.layers[1].linear2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_layers_that_change_between_steps_are_compared_as_they_are(change):
    x = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(0))
    labels, terms = torch.tensor([0, 1, 2, 0]), []
    plan = ds.Plan(ds.rule(ds.select(kind="dropout"), ds.Bernoulli(rate=0.3)))
    for changes_late in (False, True):
        torch.manual_seed(0)
        model = Encoder()
        steps = ["step", "step", "change"] if changes_late else ["change", "step", "step"]
        ds.consistent(model, ds.LRDrop(), loss="classification")
        for step in steps:
            if step == "change":
                torch.manual_seed(1)
                CHANGES[change](model)
            else:
                model(x, labels=labels)
        plan.install(model, seed=3)
        ds.step(model, 5)
        torch.manual_seed(2)  # attention draws for itself
        model(x, labels=labels)
        numbers = ds.consistency.terms_of(model).items()
        terms.append([x for _, term in sorted(numbers) for x in term.numbers])
    assert terms[0] == pytest.approx(terms[1])
