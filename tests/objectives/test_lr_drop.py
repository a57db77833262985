"""LR-Drop's total is what its docstring says, on layers made by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dropsmith.activations.block_outputs import Layer
from dropsmith.errors import ObjectiveError
from dropsmith.kernels.attention_divergence import AttentionInputs
from dropsmith.kernels.attention_divergence.reference import matrix
from dropsmith.objectives import LRDrop, RDrop, from_json
from dropsmith.objectives._query_sample import QuerySample
from dropsmith.objectives.losses import tokens
from dropsmith.passes.view_values import Views

ROWS, TIME, WIDTH = 3, 5, 6
REAL = torch.ones(ROWS, TIME, dtype=torch.bool)
REAL[1, 3:] = False
LABELS = (torch.arange(ROWS * TIME).view(ROWS, TIME) % 4).masked_fill(~REAL, -100)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(seed: int, name: str = "layers.0", stack: str = "layers", **more: Any) -> Layer:
    query, key = drawn(seed, ROWS, 2, TIME, 4), drawn(seed + 1, ROWS, 2, TIME, 4)
    seen = (("own", AttentionInputs(query, key, REAL[:, None, None])), *more.pop("others", ()))
    return Layer(name, stack, drawn(seed + 2, ROWS, TIME, WIDTH), seen)


def views(*layers: tuple[Layer, ...]) -> Views:
    outputs = tuple(drawn(90 + view, ROWS, TIME, 4) for view in range(len(layers)))
    batches = ({"labels": LABELS},) * len(layers)
    return Views(outputs=outputs, batches=batches, shared_rows=ROWS, layers=layers)


def loss(output: Any, batch: Any) -> Any:
    return tokens(output, batch["labels"])


def values(objective: LRDrop, made: Views) -> dict[str, Tensor]:
    return {name: term.value for name, term in objective.terms(made, loss).items()}


def test_the_total_is_r_drops_and_half_of_each_weighted_mean():
    made = views((layer(0), layer(10, "layers.1")), (layer(20), layer(30, "layers.1")))
    objective = LRDrop(hidden=3, attention=70, output=5)
    terms = objective.terms(made, loss)
    pairs = list(zip(*made.layers, strict=True))
    hidden = torch.stack([(a.hidden - b.hidden)[REAL].square().mean() for a, b in pairs]).mean()
    gaps = [matrix(a.attention[0][1]) - matrix(b.attention[0][1]) for a, b in pairs]
    allowed = (REAL[:, None, :, None] & REAL[:, None, None]).expand(ROWS, 2, TIME, TIME)
    attention = torch.stack([gap[allowed].square().mean() for gap in gaps]).mean()
    torch.testing.assert_close(terms["hidden"].value, hidden)
    torch.testing.assert_close(terms["attention"].value, attention)
    alone = RDrop(alpha=5)
    wanted = alone.total(alone.terms(made, loss), 1) + 3 / 2 * hidden + 70 / 2 * attention
    torch.testing.assert_close(objective.total(terms, 1), wanted)


def test_deeper_is_not_more():
    first, second = layer(0), layer(20)
    once = values(LRDrop(), views((first,), (second,)))
    thrice = values(LRDrop(), views((first,) * 3, (second,) * 3))
    for name, value in once.items():
        torch.testing.assert_close(thrice[name], value)


def test_cosine_is_one_minus_the_cosine_and_blind_to_length():
    first, second = layer(0), layer(20)
    found = values(LRDrop(hidden_distance="cosine"), views((first,), (second,)))
    cosines = torch.nn.functional.cosine_similarity(first.hidden, second.hidden, dim=-1)
    torch.testing.assert_close(found["hidden"], (1 - cosines)[REAL].mean())
    longer = Layer("layers.0", "layers", second.hidden * 7, second.attention)
    again = values(LRDrop(hidden_distance="cosine"), views((first,), (longer,)))
    torch.testing.assert_close(again["hidden"], found["hidden"])


def test_three_views_agree_in_all_pairs():
    made = [(layer(10 * view),) for view in range(3)]
    both = [views(made[a], made[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    whole = values(LRDrop(views=3), views(*made))
    for name in ("hidden", "attention"):
        pairs = [values(LRDrop(), pair)[name] for pair in both]
        torch.testing.assert_close(whole[name], torch.stack(pairs).mean())


def test_an_encoder_and_a_decoder_weigh_the_same_and_cross_attention_can_be_left_out():
    def side(seed: int) -> tuple[Layer, ...]:
        across = (
            "cross",
            AttentionInputs(drawn(seed, ROWS, 2, TIME, 4), drawn(seed + 7, ROWS, 2, 9, 4)),
        )
        inner = layer(seed, "encoder.0", "encoder")
        return inner, layer(seed + 3, "decoder.0", "decoder", others=(across,))

    made = views(side(0), side(40))
    objective = LRDrop(hidden=2, attention=8, output=0)
    terms = objective.terms(made, loss)
    parts = ("attention encoder", "attention decoder", "cross decoder")
    assert set(terms) - {"task", "consistency"} == {"hidden encoder", "hidden decoder", *parts}
    hidden = (terms["hidden encoder"].value + terms["hidden decoder"].value) / 2
    attention = sum(terms[part].value for part in parts) / 3
    wanted = terms["task"].value + hidden + 4 * attention
    torch.testing.assert_close(objective.total(terms, 1), wanted)
    assert "cross decoder" not in LRDrop(cross=False).terms(made, loss)


@pytest.mark.parametrize("held", [None, 0, 1])
def test_a_view_that_is_held_gets_no_gradient_from_any_part(held):
    sides = [(layer(0),), (layer(20),)]
    for (one,) in sides:
        for leaf in (one.hidden, one.attention[0][1].query, one.attention[0][1].key):
            leaf.requires_grad_()
    terms = LRDrop(stop_gradient=held).terms(views(*sides), loss)
    (terms["hidden"].value + terms["attention"].value).backward()
    for view, (one,) in enumerate(sides):
        looks = one.attention[0][1]
        for leaf in (one.hidden, looks.query, looks.key):
            assert (leaf.grad is None) == (view == held)


def test_written_out_attention_is_compared_as_it_is():
    made = [(layer(0),), (layer(20),)]
    written = [
        tuple(Layer(o.name, o.stack, o.hidden, (("own", matrix(o.attention[0][1])),)) for o in side)
        for side in made
    ]
    for distance in ("squared", "symmetric_kl", "jensen_shannon"):
        objective = LRDrop(attention_distance=distance)
        fused, read = values(objective, views(*made)), values(objective, views(*written))
        torch.testing.assert_close(fused["attention"], read["attention"])


def test_the_batchs_own_mask_is_heard_where_attention_is_not_masked():
    bare = [
        (replace(one, attention=(("own", replace(one.attention[0][1], mask=None)),)),)
        for one in (layer(0), layer(20))
    ]
    made = views(*bare)
    assert int(LRDrop().terms(made, loss)["hidden"].count) == ROWS * TIME * WIDTH
    told = Views(
        outputs=made.outputs,
        batches=({"labels": LABELS, "attention_mask": REAL.long()},) * 2,
        shared_rows=ROWS,
        layers=made.layers,
    )
    assert int(LRDrop().terms(told, loss)["hidden"].count) == int(REAL.sum()) * WIDTH


def test_states_whose_padding_cannot_be_found_are_refused():
    def turned(one: Layer) -> tuple[Layer, ...]:
        return (Layer(one.name, one.stack, one.hidden.transpose(0, 1), one.attention),)

    with pytest.raises(
        ObjectiveError, match=r"cannot tell which states.*are padding[\s\S]*batch_first"
    ):
        LRDrop().terms(views(turned(layer(0)), turned(layer(20))), loss)


def test_views_without_layers_and_terms_without_parts_are_errors():
    bare = Views(
        outputs=(drawn(0, ROWS, TIME, 4),) * 2, batches=({"labels": LABELS},) * 2, shared_rows=ROWS
    )
    with pytest.raises(ObjectiveError, match=r"hold no layers[\s\S]*reads=objective\.reads"):
        LRDrop().terms(bare, loss)
    with pytest.raises(ObjectiveError, match=r"needs a term 'hidden', there are: task"):
        LRDrop().total(RDrop(alpha=1).terms(bare, loss), 1)


def test_views_of_other_blocks_are_an_error():
    with pytest.raises(ObjectiveError, match="not the same blocks of 'layers' ran in every view"):
        LRDrop().terms(views((layer(0),), (layer(20), layer(30))), loss)


def test_weights_warm_up_together():
    made = views((layer(0),), (layer(20),))
    objective, full = LRDrop(warmup=10), LRDrop()
    terms = objective.terms(made, loss)
    task = terms["task"].value
    part = objective.total(terms, 5) - task
    torch.testing.assert_close(part, (full.total(terms, 5) - task) / 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": -1}, "hidden must be a finite number"),
        ({"attention": float("inf")}, "attention must be a finite number"),
        ({"hidden_at": "blok"}, r"no hidden_at is called 'blok'[\s\S]*did you mean 'block'"),
        ({"attention_distance": "kl"}, "no attention_distance is called 'kl'"),
        ({"layers": ()}, r"layers are numbers such as \(0, -1\), got \(\)"),
        ({"layers": (0.5,)}, "layers are numbers"),
        ({"stop_gradient": 2}, "no view 2"),
        ({"views": 1}, "views must be an integer"),
        ({"batch_fraction": 0}, "batch_fraction must be in"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, words):
    with pytest.raises(ObjectiveError, match=words):
        LRDrop(**settings)


def test_what_it_reads_follows_from_its_coefficients():
    assert LRDrop(hidden=0, attention=0).reads is None
    reads = LRDrop(attention=0, hidden_at="block", blocks="h.*").reads
    assert (reads.hidden, reads.attention, reads.blocks) == ("block", False, "h.*")
    assert LRDrop(hidden=0).reads.hidden is None
    assert from_json(LRDrop(layers=(0, -1)).to_json()) == LRDrop(layers=(0, -1))


def with_step(step: int | None) -> Views:
    return replace(
        views((layer(0), layer(10, "layers.1")), (layer(20), layer(30, "layers.1"))), step=step
    )


def test_a_share_of_the_queries_has_the_whole_term_as_its_mean_over_steps():
    whole = values(LRDrop(), with_step(None))
    some = torch.stack(
        [
            values(LRDrop(attention_fraction=0.4), with_step(step))["attention"]
            for step in range(400)
        ]
    )
    assert len(some.unique()) > 20
    error = float(some.std() / 60**0.5)
    assert abs(float(some.mean() - whole["attention"])) < 4 * error
    assert error < 0.15 * float(whole["attention"])


def test_all_else_is_compared_whole_and_one_step_is_always_the_same():
    whole, some = (values(LRDrop(attention_fraction=f), with_step(7)) for f in (1.0, 0.4))
    for name in ("hidden", "consistency", "task"):
        torch.testing.assert_close(whole[name], some[name])
    again = values(LRDrop(attention_fraction=0.4), with_step(7))
    assert torch.equal(again["attention"], some["attention"])


def test_blocks_draw_queries_of_their_own_and_each_is_drawn_equally_often():
    samples = [QuerySample.of(0.4, step, "layers") for step in range(300)]
    drawn_by_block = [
        torch.stack([s.of_block(b).queries(TIME, torch.device("cpu")) for s in samples])
        for b in (0, 1)
    ]
    assert not torch.equal(*drawn_by_block)
    for numbers in drawn_by_block:
        assert numbers.shape == (300, 2)
        assert bool((numbers[:, 0] < numbers[:, 1]).all())
        counts = numbers.flatten().bincount(minlength=TIME)
        # Each is drawn with chance 0.4: four standard deviations of a binomial count.
        assert bool(((counts - 120).abs() < 4 * (300 * 0.4 * 0.6) ** 0.5).all())


def test_a_share_without_a_step_or_out_of_range_is_refused():
    with pytest.raises(ObjectiveError, match=r"the views hold no step.*\n.*replace"):
        values(LRDrop(attention_fraction=0.4), with_step(None))
    for fraction in (0, -0.1, 1.1, float("nan"), True, "0.5"):
        with pytest.raises(ObjectiveError, match="attention_fraction"):
            LRDrop(attention_fraction=fraction)  # pyright: ignore


def test_a_share_of_a_part_that_is_left_out_is_refused():
    with pytest.raises(ObjectiveError, match=r"attention=0 leaves out\n  give attention"):
        LRDrop(attention=0, attention_fraction=0.25)
    assert LRDrop(attention=0).attention_fraction == 1


def test_the_share_is_in_json_where_it_is_not_whole():
    assert "attention_fraction" not in LRDrop().to_json()
    assert from_json(LRDrop(attention_fraction=0.25).to_json()) == LRDrop(attention_fraction=0.25)
