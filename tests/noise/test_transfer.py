"""A plan for another model: the same where nothing differs, refused where something cannot be."""

import pytest
import torch
from torch import nn

from dropsmith.errors import PlanError
from dropsmith.models import SmallConv, SmallLSTM, SmallTransformer, TransformerXL
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    DropConnect,
    Off,
    Spans,
    Tiles,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select

IMAGES, TEXTS = torch.zeros(2, 1, 8, 8), torch.ones(2, 7, dtype=torch.long)
CHANNELS = Bernoulli(rate=0.2, shared="height width")
LEARNED = Plan(
    rule("convs.0", DropBlock(rate=0.2, size=3)),
    rule("convs.1", CHANNELS, views="shared"),
    rule("head.input", Bernoulli(rate=0.5)),
)


def conv(*widths: int, size: int = 8) -> SmallConv:
    return SmallConv(channels=1, size=size, classes=3, widths=widths)


def text(layers: int, width: int = 16) -> SmallTransformer:
    return SmallTransformer(words=9, classes=2, length=9, width=width, heads=2, layers=layers)


def test_the_same_model_has_the_same_plan():
    model = conv(4, 8)
    assert LEARNED.transfer(model, IMAGES) == LEARNED
    assert LEARNED.transfer(model, IMAGES, source=conv(4, 8)) == LEARNED


def test_a_wider_model_has_the_same_plan_and_draws_by_it():
    wide = conv(12, 24)
    plan = LEARNED.transfer(wide, IMAGES, source=conv(4, 8))
    assert plan == LEARNED
    with plan.installed(wide, IMAGES):
        wide.train()(IMAGES)


def test_a_deeper_model_has_each_layers_rules_at_its_share_of_the_depth():
    plan = LEARNED.transfer(conv(4, 4, 8, 8), IMAGES, source=conv(4, 8))
    assert plan == Plan(
        rule("convs.0", DropBlock(rate=0.2, size=3)),
        rule("convs.1", DropBlock(rate=0.2, size=3)),
        rule("convs.2", CHANNELS, views="shared"),
        rule("convs.3", CHANNELS, views="shared"),
        rule("head.input", Bernoulli(rate=0.5)),
    )


def test_sites_that_drop_by_one_mask_are_carried_together():
    pair = Bernoulli(rate=0.2, shared="time unit")
    plan = Plan(rule("layers.0.feed layers.0.fed", pair, mask="one"))
    fitted = plan.transfer(text(2), TEXTS, source=text(1))
    names = ["layers.0.feed layers.0.fed", "layers.1.feed layers.1.fed"]
    assert fitted == Plan(*(rule(name, pair, mask="one") for name in names))
    assert plan.transfer(text(1), TEXTS, source=text(1)) == plan


def test_names_of_one_rule_that_become_more_or_fewer_are_told_apart_or_refused():
    plain = Bernoulli(rate=0.2)
    plan = Plan(rule("layers.0.feed head.input", plain))
    fitted = plan.transfer(text(2), TEXTS, source=text(1))
    names = [one.selector.name for one in fitted.rules]
    assert names == ["layers.0.feed", "layers.1.feed", "head.input"]
    with pytest.raises(PlanError, match="by one mask some are more in this model"):
        Plan(rule("layers.0.feed head.input", plain, mask="one")).transfer(
            text(2), TEXTS, source=text(1)
        )


def test_a_shallower_model_has_some_of_the_rules():
    four = Plan(*(rule(f"layers.{n}.feed", Bernoulli(rate=n / 10)) for n in range(4)))
    plan = four.transfer(text(2), TEXTS, source=text(4))
    expected = [
        rule("layers.0.feed", Bernoulli(rate=0.1)),
        rule("layers.1.feed", Bernoulli(rate=0.3)),
    ]
    assert plan == Plan(*expected)


def test_a_plan_of_which_no_layer_is_left_is_refused():
    first = Plan(rule("layers.0.feed", Bernoulli(rate=0.1)))
    with pytest.raises(PlanError, match="none of the 1 rules has a layer at its depth"):
        first.transfer(text(2), TEXTS, source=text(4))


def test_an_empty_plan_fits_everywhere():
    assert Plan().transfer(text(1), TEXTS) == Plan()


def test_a_plan_of_images_is_refused_by_a_model_of_texts_rule_by_rule():
    with pytest.raises(PlanError) as caught:
        LEARNED.transfer(text(2), TEXTS, source=conv(4, 8))
    said = str(caught.value)
    assert said.startswith("2 of the 3 rules of the plan do not fit this model")
    assert "rule 1: rule('convs.0', DropBlock(rate=0.2, size=3))\n    no site is called so" in said
    assert "rule 3" not in said


def test_shared_axes_that_a_place_does_not_have_are_named():
    plan = Plan(rule("layers.*.feed", CHANNELS))
    with pytest.raises(PlanError, match=r"at layers\.0\.feed: no axis 'height'[\s\S]*batch time"):
        plan.transfer(text(1), TEXTS)


def test_blocks_where_there_is_neither_map_nor_time_are_refused():
    plan = Plan(rule("head", DropBlock(rate=0.1, size=2)))
    with pytest.raises(PlanError, match="at head: DropBlock needs axes height and width, or time"):
        plan.transfer(text(1), TEXTS)


def test_a_block_larger_than_its_map_is_refused_at_the_map_where_it_is():
    plan = Plan(rule("convs.*", DropBlock(rate=0.1, size=5)))
    assert plan.transfer(conv(4, size=8), IMAGES) == plan
    with pytest.raises(PlanError, match=r"size 5 is larger than the 4 × 4 at convs\.1"):
        plan.transfer(conv(4, 8, size=8), IMAGES)


def test_a_run_longer_than_the_texts_is_refused():
    plan = Plan(rule("layers.*.feed", DropBlock(rate=0.1, size=8)))
    with pytest.raises(PlanError, match=r"size 8 is larger than the 7 at layers\.0\.feed"):
        plan.transfer(text(1), TEXTS)


def test_a_tiling_that_is_counted_on_a_map_of_its_own_is_scaled_and_fits():
    pixels, scaled = Tiles(size=6, stride=2), Tiles(size=6, stride=2, side=8)
    small = conv(4, 8)
    with pytest.raises(PlanError, match=r"size 6 is larger than the 4 × 4 at convs\.1"):
        Plan(rule("convs.1", pixels)).transfer(small, IMAGES)
    plan = Plan(rule("convs.1", scaled))
    assert plan.transfer(small, IMAGES) == plan


def test_sizes_that_only_say_how_often_fit_any_map():
    plan = Plan(
        rule("layers.*.feed", Spans(size=50, stride=9, shared="time")),
        rule("layers.*.fed", Spans(size=50, stride=9, fresh="time")),
    )
    assert plan.transfer(text(1), TEXTS) == plan


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (
            rule("layers.0.feed", WordDropout(rate=0.1)),
            "WordDropout goes on words, and layers.0.feed is",
        ),
        (rule("embedding", DropConnect(rate=0.1)), "DropConnect goes on weights, and embedding is"),
        (rule("layers.0.feed", TorchDropout(rate=0.1)), "there is none at layers.0.feed"),
        (rule("layers", Bernoulli(rate=0.1)), "layers does not run on this batch"),
        (rule("head", Bernoulli(rate=0.1), axes="batch time unit"), "the rule names batch time"),
    ],
)
def test_why_a_rule_does_not_fit_is_said(one, why):
    with pytest.raises(PlanError) as caught:
        Plan(one).transfer(text(1), TEXTS)
    assert why in str(caught.value)


def test_patterns_that_draw_no_mask_of_activations_fit_where_their_kind_is():
    plan = Plan(
        rule("embedding", WordDropout(rate=0.1)),
        rule("head.weight", DropConnect(rate=0.1)),
        rule("layers.**", Off()),
    )
    assert plan.transfer(text(1), TEXTS) == plan


def test_layers_that_are_not_there_bring_the_hint_to_count_them():
    plan = Plan(rule("layers.3.feed", Bernoulli(rate=0.1)))
    with pytest.raises(PlanError, match="source=the_model"):
        plan.transfer(text(2), TEXTS)
    with pytest.raises(PlanError) as caught:
        Plan(rule("other", Bernoulli(rate=0.1))).transfer(text(2), TEXTS, source=text(4))
    assert "source=" not in str(caught.value)


class TwoSided(nn.Module):
    """Layers under two names of its own."""

    def __init__(self, one: int, other: int):
        super().__init__()
        for name, count in (("encoder", one), ("decoder", other)):
            self.add_module(name, nn.ModuleList(nn.Linear(4, 4) for _ in range(count)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (*self.get_submodule("encoder"), *self.get_submodule("decoder")):  # pyright: ignore
            x = layer(x)
        return x


def test_places_go_by_other_names_and_a_part_may_go_to_several():
    plan = Plan(rule("blocks.0", Bernoulli(rate=0.1)), rule("blocks.1", Bernoulli(rate=0.2)))
    there = nn.ModuleDict({"blocks": nn.ModuleList(nn.Linear(4, 4) for _ in range(2))})
    found = plan.transfer(
        TwoSided(4, 2),
        torch.ones(2, 5, 4),
        source=there,
        names={"blocks": ("encoder", "decoder")},
    )
    assert [(one.selector.name, one.pattern.rate) for one in found.rules] == [
        *(("encoder.0", 0.1), ("encoder.1", 0.1), ("decoder.0", 0.1)),
        *(("encoder.2", 0.2), ("encoder.3", 0.2), ("decoder.1", 0.2)),
    ]


def test_only_whole_parts_of_a_name_are_called_otherwise():
    plan = Plan(rule("convs.0", CHANNELS))
    assert (
        plan.transfer(conv(4), IMAGES, names={"con": "x", "0.convs": "y", "convs.1": "z"}) == plan
    )


def test_names_that_are_swapped_are_swapped_at_once():
    names = {"encoder": "decoder", "decoder": "encoder"}
    plan = Plan(rule("encoder.0", Bernoulli(rate=0.1)), rule("decoder.1", Bernoulli(rate=0.2)))
    found = plan.transfer(TwoSided(2, 2), torch.ones(2, 5, 4), names=names)
    assert [one.selector.name for one in found.rules] == ["decoder.0", "encoder.1"]


def test_what_a_language_model_learned_goes_into_both_sides_of_a_translation_model():
    pytest.importorskip("transformers")
    from dropsmith.models.small_seq2seq import SmallSeq2Seq

    old = TransformerXL(words=20, width=8, layers=4, heads=2, feed=16, memory=4)
    new = SmallSeq2Seq(words=20, width=8, heads=2, layers=2)
    batch = {name: torch.randint(1, 20, (2, 6)) for name in ("source", "target")}
    plan = Plan(
        rule("layers.*.query", Spans(size=2, stride=3)),
        rule("layers.3.fed", Spans(size=1, stride=9, shared="unit")),
    )
    found = plan.transfer(
        new,
        batch,
        source=old,
        names={
            "layers": ("net.model.encoder.layers", "net.model.decoder.layers"),
            "query": "*.q_proj",
            "fed": "fc2",
        },
    )
    sides = ["net.model.encoder.layers", "net.model.decoder.layers"]
    assert [one.selector.name for one in found.rules] == [
        *(f"{side}.*.*.q_proj" for side in sides),
        *(f"{side}.1.fc2" for side in sides),
    ]
    with found.installed(new, batch):
        new.train()(**batch)


def test_ranges_of_depth_and_other_parts_of_a_selector_are_kept():
    one = rule(select("layers.*.feed", kind="output", depth=(0, 1)), Bernoulli(rate=0.1))
    (new,) = Plan(one).transfer(text(4), TEXTS, source=text(2)).rules
    assert new.selector == select("layers.*.feed", kind="output", depth=(0, 2))


def test_the_model_is_left_as_it_was():
    model = SmallLSTM(words=9, width=8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [len(module._forward_hooks) for module in model.modules()]
    Plan(rule("head.input", Bernoulli(rate=0.1))).transfer(model, TEXTS)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
