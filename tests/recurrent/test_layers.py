"""The layers against torch.nn without noise, and against loops written out with it."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import dropsmith as ds
from dropsmith.errors import KernelError, SiteError
from dropsmith.recurrent import GRU, LSTM, RNN

PAIRS = [(LSTM, nn.LSTM), (GRU, nn.GRU), (RNN, nn.RNN)]
GATES = {LSTM: 4, GRU: 3, RNN: 1}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "batch_first": True, "bias": False},
]
INSIDE = ("input", "recurrent", "hidden_update")


def built(kind: type, seed: int = 0, **settings: Any) -> Any:
    torch.manual_seed(seed)
    return kind(5, 7, **settings)


def batch(layer: nn.RNNBase, time: int = 6, rows: int = 3) -> Tensor:
    sizes = (rows, time, 5) if layer.batch_first else (time, rows, 5)
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(1))


def ones(layer: Any) -> dict[str, Tensor]:
    """Masks everywhere that change nothing, which send the layer along its own path."""
    held = (1, 1, 1, 1)
    return {place.name: torch.ones(held[: len(place.axes)]) for place in layer.noise_slots()}


def flat(result: Any) -> list[Tensor]:
    output, last = result
    return [output, *(last if isinstance(last, tuple) else (last,))]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_with_every_mask_off_outputs_and_gradients_are_those_of_torch(ours, theirs, settings):
    mine, native = built(ours, **settings), built(theirs, **settings)
    x = batch(mine)
    for given in ({}, {"masks": ones(mine)}):
        found, expected = flat(mine(x, **given)), flat(native(x))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
        grads = torch.autograd.grad(found[0].square().sum(), list(mine.parameters()))
        others = torch.autograd.grad(expected[0].square().sum(), list(native.parameters()))
        for a, b in zip(grads, others, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("first", [False, True])
def test_sequences_without_a_step_are_an_error_as_they_are_to_torch(ours, theirs, first):
    mine, native = (built(kind, batch_first=first) for kind in (ours, theirs))
    with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
        native(batch(native, time=0))
    with pytest.raises(KernelError, match=rf"a {ours.__name__} was given sequences without a step"):
        mine(batch(mine, time=0), masks=ones(mine))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_a_batch_without_a_row_is_run_as_torch_runs_it(ours, theirs):
    mine, native = built(ours, bidirectional=True), built(theirs, bidirectional=True)
    found, expected = mine(batch(mine, rows=0), masks=ones(mine)), native(batch(native, rows=0))
    assert [one.shape for one in flat(found)] == [one.shape for one in flat(expected)]


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=str)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_packed_sequences_and_their_states_are_those_of_torch(ours, theirs, settings):
    mine, native = built(ours, **settings), built(theirs, **settings)
    lengths = torch.tensor([2, 6, 4])
    packed = pack_padded_sequence(batch(mine), lengths, enforce_sorted=False)
    first = flat(native(batch(mine)))[1:]
    hx = tuple(torch.randn_like(s) for s in first) if ours is LSTM else torch.randn_like(first[0])
    found, expected = mine(packed, hx, masks=ones(mine)), native(packed, hx)
    assert isinstance(found[0], PackedSequence)
    for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert torch.equal(getattr(found[0], field), getattr(expected[0], field))
    torch.testing.assert_close(found[0].data, expected[0].data, atol=1e-6, rtol=1e-5)
    for a, b in zip(flat(found)[1:], flat(expected)[1:], strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_one_sequence_without_a_batch_is_taken_as_torch_takes_it(ours, theirs):
    mine, native = built(ours), built(theirs)
    x = batch(mine)[:, 0]
    for a, b in zip(flat(mine(x, masks=ones(mine))), flat(native(x)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def lstm_by_hand(layer: nn.LSTM, x: Tensor, inputs: Tensor, held: Tensor) -> Tensor:
    """One layer of Gal & Ghahramani's, gate by gate and row by row, in float64."""
    w_i, w_h, b_i, b_h = (p.detach().double().chunk(4) for p in layer.parameters())
    rows = []
    for row in range(x.shape[1]):
        h, c = torch.zeros(2, 7, dtype=torch.float64)
        steps = []
        for step in x[:, row].double():
            scores = [
                w_i[g] @ (step * inputs[row, g]) + b_i[g] + w_h[g] @ (h * held[row, g]) + b_h[g]
                for g in range(4)
            ]
            c = scores[1].sigmoid() * c + scores[0].sigmoid() * scores[2].tanh()
            h = scores[3].sigmoid() * c.tanh()
            steps.append(h)
        rows.append(torch.stack(steps))
    return torch.stack(rows, 1)


def flips(*sizes: int, seed: int = 3) -> Tensor:
    drawn = torch.rand(sizes, generator=torch.Generator().manual_seed(seed))
    return (drawn > 0.4).float() / 0.6


def test_masks_of_each_gate_are_those_of_a_loop_over_rows_and_gates():
    layer = built(LSTM)
    x, inputs, held = batch(layer), flips(3, 4, 5), flips(3, 4, 7, seed=4)
    masks = {"input_l0": inputs[:, :, None], "recurrent_l0": held[:, :, None]}
    expected = lstm_by_hand(layer, x, inputs.double(), held.double())
    torch.testing.assert_close(layer(x, masks=masks)[0].double(), expected, atol=1e-6, rtol=1e-5)


def test_both_directions_are_masked_each_with_its_own_mask():
    layer = built(LSTM, bidirectional=True)
    x, held = batch(layer), flips(3, 1, 1, 7)
    backward = layer(x, masks={"recurrent_l0_reverse": held})[0] - layer(x)[0]
    torch.testing.assert_close(backward[..., :7], torch.zeros(6, 3, 7), atol=1e-6, rtol=0)
    single = built(LSTM)
    for name, value in layer.named_parameters():
        if name.endswith("_reverse"):
            getattr(single, name.removesuffix("_reverse")).data.copy_(value)
    turned = single(x.flip(0), masks={"recurrent_l0": held})[0].flip(0)
    found = layer(x, masks={"recurrent_l0_reverse": held})[0][..., 7:]
    torch.testing.assert_close(found, turned, atol=1e-6, rtol=1e-5)


def test_masks_of_packed_rows_follow_their_rows():
    layer = built(LSTM)
    x, lengths, held = batch(layer), torch.tensor([2, 6, 4]), flips(3, 1, 1, 7)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    found, _ = pad_packed_sequence(layer(packed, masks={"recurrent_l0": held})[0])
    for row, length in enumerate(lengths.tolist()):
        alone = layer(x[:length, row : row + 1], masks={"recurrent_l0": held[row : row + 1]})[0]
        torch.testing.assert_close(found[:length, row], alone[:, 0], atol=1e-6, rtol=1e-5)


def test_masks_between_layers_at_the_output_and_on_weights_multiply_there():
    layer = built(GRU, num_layers=2)
    x, between, output = batch(layer), flips(3, 6, 7), flips(3, 1, 7, seed=5)
    weight = flips(21, 7, seed=6)
    masks = {"between_l0": between, "output": output, "weight_hh_l1": weight}
    first, second = built(GRU), nn.GRU(7, 7)
    first.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("l0")})
    pairs = {k[:-1] + "0": v for k, v in layer.state_dict().items() if k.endswith("l1")}
    second.load_state_dict(pairs | {"weight_hh_l0": pairs["weight_hh_l0"] * weight})
    expected = second(first(x)[0] * between.transpose(0, 1))[0] * output.transpose(0, 1)
    torch.testing.assert_close(layer(x, masks=masks)[0], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ({"recurent_l0": torch.ones(1, 1, 1, 1)}, "did you mean 'recurrent_l0'"),
        ({"recurrent_l1": torch.ones(1, 1, 1, 1)}, "no place 'recurrent_l1'"),
        ({"recurrent_l0": torch.ones(3, 7)}, "batch, gate, time, unit"),
        ({"hidden_update_l0": torch.ones(2, 1, 1)}, "does not fit"),
        ({"weight_hh_l0": torch.ones(3, 3)}, r"does not fit \(28, 7\)"),
        ({"weight_hh_l0": torch.ones(7)}, "its axes are those of the weight"),
    ],
)
def test_a_mask_that_has_no_place_or_does_not_fit_is_an_error(masks, words):
    layer = built(LSTM)
    with pytest.raises(SiteError, match=words):
        layer(batch(layer), masks=masks)


@pytest.mark.parametrize("place", ["recurrent_l0", "hidden_update_l0", "cell_update_l0"])
def test_a_mask_of_the_state_that_asks_for_a_gradient_is_refused_and_not_left_without(place):
    layer = built(LSTM)
    mask = torch.full((1,) * (4 if place.startswith("rec") else 3), 0.5, requires_grad=True)
    with pytest.raises(SiteError, match=rf"have none\n  give {place}\.detach\(\)"):
        layer(batch(layer), masks={place: mask})
    layer(batch(layer), masks={place: mask.detach()})
    with torch.no_grad():
        layer(batch(layer), masks={place: mask})


def test_masks_of_input_output_and_weights_have_gradients():
    layer = built(LSTM)
    sizes = {"input_l0": (1, 4, 1, 5), "output": (1, 1, 7), "weight_hh_l0": (1, 7)}
    masks = {name: torch.ones(size, requires_grad=True) for name, size in sizes.items()}
    layer(batch(layer), masks=masks)[0].sum().backward()
    assert all(mask.grad is not None and bool(mask.grad.any()) for mask in masks.values())


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_rule_inside_a_layer_with_projections_says_why_there_is_no_such_site():
    model = nn.Sequential(built(LSTM, proj_size=3))
    plan = ds.Plan(ds.rule("0.recurrent", ds.Bernoulli(rate=0.5, shared="time")))
    with pytest.raises(SiteError, match=r"matched no site[\s\S]*proj_size have no noise inside"):
        plan.install(model, batch(built(LSTM)))


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_layer_with_projections_refuses_noise_inside_and_is_torchs_otherwise():
    layer = built(LSTM, proj_size=3)
    assert layer.noise_slots() == ()
    assert torch.equal(layer(batch(layer))[0], built(nn.LSTM, proj_size=3)(batch(layer))[0])
    with pytest.raises(SiteError, match="leave out proj_size"):
        layer(batch(layer), masks={"recurrent_l0": torch.ones(1, 1, 1, 1)})


VARIATIONAL = ds.Plan(
    ds.rule("root.inputs", ds.Bernoulli(rate=0.4, shared="time")),
    ds.rule("root.recurrent", ds.Bernoulli(rate=0.4, shared="time gate")),
)


def kept(layer: Any, x: Any) -> dict[str, list[Tensor]]:
    """What every site hands to the layer, seen from outside of it."""
    seen: dict[str, list[Tensor]] = {}
    ds.noise_of(layer).observer = lambda site, kind, before, after: seen.setdefault(
        site, []
    ).append(after)
    layer(x)
    ds.noise_of(layer).observer = None
    return seen


def test_gals_masks_are_held_over_time_drawn_per_row_and_anew_in_each_window():
    layer = built(LSTM)
    x = batch(layer, time=9, rows=50)
    with VARIATIONAL.installed(layer, x, seed=1):
        first, second = kept(layer, x), kept(layer, x)
    tied, untied = first["root.recurrent_l0"][0], first["root.input_l0"][0]
    assert tied.shape == (50, 1, 1, 7)
    assert untied.shape == (50, 4, 1, 5)
    for mask in (tied, untied):
        rate = float((mask == 0).double().mean())
        assert abs(rate - 0.4) < 4 * (0.24 / mask.numel()) ** 0.5
        torch.testing.assert_close(mask.unique(), torch.tensor([0, 1 / 0.6]))
        assert not torch.equal(mask[0], mask[1])
    assert not torch.equal(untied[:, 0], untied[:, 1])
    assert not torch.equal(tied, second["root.recurrent_l0"][0])


def test_a_plan_and_the_same_masks_as_arguments_give_the_same():
    layer = built(LSTM, num_layers=2, bidirectional=True)
    x = batch(layer)
    with VARIATIONAL.installed(layer, x, seed=1):
        seen: dict[str, Tensor] = {}
        ds.noise_of(layer).observer = lambda site, kind, before, after: seen.update(
            {site.removeprefix("root."): after}
        )
        expected = layer(x)[0]
    torch.testing.assert_close(layer(x, masks=seen)[0], expected, atol=0, rtol=0)


def test_zoneout_keeps_the_state_at_its_rate_and_takes_the_mean_in_eval_mode():
    layer = built(LSTM)
    x = batch(layer, time=40, rows=20)
    plan = ds.Plan(
        ds.rule("root.hidden_update", ds.Bernoulli(rate=0.3)),
        ds.rule("root.cell_update", ds.Bernoulli(rate=0.5)),
    )
    with plan.installed(layer, x, seed=2):
        states = layer(x)[0]
        stayed = (states[1:] == states[:-1]).double().mean()
        assert abs(float(stayed) - 0.3) < 4 * (0.21 / states[1:].numel()) ** 0.5
        layer.eval()
        found = layer(x)[0]
        assert torch.equal(found, layer(x)[0])
    masks = {
        "hidden_update_l0": torch.full((1, 1, 1), 0.7),
        "cell_update_l0": torch.full((1, 1, 1), 0.5),
    }
    torch.testing.assert_close(found, layer(x, masks=masks)[0])
    assert not torch.allclose(found, layer(x)[0], atol=1e-3)


def test_eval_is_torchs_own_and_training_goes_on_after_it():
    layer, native = built(LSTM), built(nn.LSTM)
    x = batch(layer)
    plan = ds.Plan(*VARIATIONAL.rules, ds.rule("weight_hh_l0", ds.DropConnect(rate=0.5)))
    with plan.installed(layer, x):
        noisy = layer(x)[0]
        assert torch.equal(layer.eval()(x)[0], native(x)[0])
        layer.train()
        assert not torch.equal(layer(x)[0], noisy)
        layer(x)[0].sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in layer.parameters())
    assert torch.equal(layer(x)[0], native(x)[0])
    assert list(layer.state_dict()) == list(native.state_dict())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_draw_the_same_masks_with_weights_of_their_own(copied):
    layer = built(LSTM, num_layers=2)
    x = batch(layer)
    VARIATIONAL.install(layer, x, seed=3)
    layer(x)
    other = copied(layer)
    assert torch.equal(other(x)[0], layer(x)[0])
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    assert not torch.equal(other(x)[0], layer(x)[0])


def test_weight_masks_of_all_layers_and_directions_are_dropped_by_torchs_kernel(monkeypatch):
    layer = built(LSTM, num_layers=2, bidirectional=True)
    x = batch(layer)
    calls: list[int] = []
    monkeypatch.setattr("dropsmith.recurrent.layers.run", lambda *a: calls.append(1))
    with ds.Plan(ds.rule("weight_hh_*", ds.DropConnect(rate=0.5))).installed(layer, x) as _:
        audit = ds.audit(layer, x)
        noisy = layer(x)[0]
    assert not calls
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        row = audit[f"weight_hh_{suffix}"]
        assert row.on
        assert row.differ
        assert row.dropped == pytest.approx(0.5, abs=4 * (0.25 / 196) ** 0.5)
    assert not torch.equal(noisy, layer(x)[0])


@pytest.mark.parametrize("mode", ["stacked", "looped"])
def test_views_have_masks_of_their_own_and_stacked_equals_looped(mode):
    layer = built(LSTM, batch_first=True)
    x = batch(layer)
    with VARIATIONAL.installed(layer, x, seed=4):
        ds.step(layer, 0)
        pair = ds.views(layer, x, mode=mode)
        first, second = (view[0] for view in pair.outputs)
        ds.step(layer, 0)
        again = ds.views(layer, x, mode="looped")
    assert not torch.equal(first, second)
    for a, b in zip(pair.outputs, again.outputs, strict=True):
        torch.testing.assert_close(a[0], b[0], atol=1e-6, rtol=1e-5)


def test_shared_views_agree_and_a_quiet_view_is_torchs():
    layer, native = built(LSTM, batch_first=True), built(nn.LSTM, batch_first=True)
    x = batch(layer)
    shared = ds.Plan(
        ds.rule("root.recurrent", ds.Bernoulli(rate=0.5, shared="time"), views="shared")
    )
    with shared.installed(layer, x):
        first, second = (view[0] for view in ds.views(layer, x).outputs)
        torch.testing.assert_close(first, second)
    with VARIATIONAL.installed(layer, x):
        pair = ds.views(layer, x, noise_free=(1,))
        torch.testing.assert_close(pair.outputs[1][0], native(x)[0])


def test_dropout_between_the_layers_is_seen_where_torchs_kernel_cannot_serve():
    layer = built(LSTM, num_layers=2, dropout=0.5)
    x = batch(layer, time=20, rows=20)
    with VARIATIONAL.installed(layer, x):
        row = ds.audit(layer, x)["root.between()"]
        assert row.on
        assert row.dropped == pytest.approx(0.5, abs=4 * (0.25 / (2 * 20 * 20 * 7)) ** 0.5)


@pytest.mark.parametrize("packed", [False, True])
def test_a_rule_between_the_layers_reaches_padded_and_packed_batches(packed):
    layer = built(LSTM, num_layers=2)
    x = batch(layer, time=20, rows=20)
    given = pack_padded_sequence(x, torch.arange(20, 0, -1)) if packed else x
    plan = ds.Plan(ds.rule("root.between()", ds.Bernoulli(rate=0.5, shared="time")))
    with plan.installed(layer, seed=5):
        assert not torch.equal(layer(given)[0][0], layer(given)[0][0])
        assert ds.noise_of(layer).draw_counts["root.between()"] == 2


def test_autocast_and_half_precision_stay_near_float32():
    layer = built(LSTM, num_layers=2)
    x, masks = batch(layer), ones(layer)
    exact = layer(x, masks=masks)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(x, masks=masks)[0]
    found.float().sum().backward()
    assert layer.weight_hh_l1.grad.dtype == torch.float32
    torch.testing.assert_close(found.float(), exact, atol=0.03, rtol=0.03)


@pytest.mark.slow
def test_compiled_code_around_a_layer_returns_what_eager_code_does():
    layer = built(LSTM)
    model = nn.Sequential(nn.Linear(5, 5), layer)
    x = batch(layer)
    plan = ds.Plan(ds.rule("1.recurrent", ds.Bernoulli(rate=0.4, shared="time gate")))
    with plan.installed(model, x, seed=1):
        ds.step(model, 0)
        expected = model(x)[0]
        ds.step(model, 0)
        compiled = torch.compile(model, backend="eager")
        torch.testing.assert_close(compiled(x)[0], expected)


def test_prediction_samples_the_state_and_gives_the_plan_back():
    layer = built(LSTM, batch_first=True)
    x = batch(layer)
    own = ds.Plan(ds.rule("root.recurrent", ds.Bernoulli(rate=0.5, shared="time")))
    with VARIATIONAL.installed(layer, x, seed=1):
        first = ds.predict(layer, x, samples=4, kind="regression")
        other = ds.predict(layer, x, samples=4, kind="regression", plan=own)
        assert torch.equal(ds.predict(layer, x, samples=4, kind="regression").mean, first.mean)
        assert ds.audit(layer, x)["root.recurrent_l0"].on
    assert float(first.variance.max()) > 0
    assert not torch.equal(first.mean, other.mean)


def test_a_wide_state_behind_work_that_is_replayed_is_sampled_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(70, 70), LSTM(70, 70, batch_first=True))
    x = torch.randn(2, 3, 70)
    plan = ds.Plan(ds.rule("1.recurrent", ds.Bernoulli(rate=0.5, shared="time gate")))
    kept = ds.predict(model, x, samples=3, plan=plan, kind="regression", replay=True)
    anew = ds.predict(model, x, samples=3, plan=plan, kind="regression", replay=False)
    torch.testing.assert_close(kept.mean, anew.mean)
