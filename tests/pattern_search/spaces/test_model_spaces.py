"""Spaces made from a model: which sites, which tokens, and what a choice of them drops."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import dropsmith as ds
from dropsmith.errors import SearchError, SiteError
from dropsmith.models import SmallConv, SmallTransformer, WideResNet
from dropsmith.pattern_search import (
    ConvTokens,
    SequenceTokens,
    Space,
    Tokens,
    Value,
    space_from_json,
)
from dropsmith.pattern_search.spaces.model_spaces import conv, sequence
from dropsmith.patterns import Bernoulli, DropBlock, Pattern, Spans, Tiles
from dropsmith.plans.plan import Plan
from dropsmith.plans.selector import select
from dropsmith.testing import check_frozen, check_json

IMAGES, TEXTS = torch.rand(2, 3, 16, 16), torch.tensor([[3, 4, 5, 0], [5, 2, 1, 4]])
WIDE = WideResNet(depth=16, width=1, classes=4)
TEXT = SmallTransformer(words=9, classes=2, length=9, width=16, heads=2, layers=2)


@cache
def on_maps() -> Space:
    return conv(WIDE, IMAGES)


@cache
def on_texts() -> Space:
    return sequence(TEXT, TEXTS)


def chosen(space: Space, **values: Value) -> Tokens:
    """The first value everywhere, but these (or the numbers nearest to them) for their tokens."""
    tokens = [0] * len(space.choices)
    for index, choice in enumerate(space.choices):
        value = values.get(choice.name.rpartition(".")[2])
        if value is not None:
            tokens[index] = nearest(choice.values, value)
    return tuple(tokens)


def nearest(values: tuple[Value, ...], value: Value) -> int:
    if value in values:
        return values.index(value)
    far = [abs(own - value) if own else 1e9 for own in values]  # type: ignore[operator]
    return far.index(min(far))


def patterns(plan: Plan) -> list[Pattern]:
    return [one.pattern for one in plan.rules]


@pytest.mark.parametrize("make", [on_maps, on_texts])
def test_a_space_is_a_frozen_value_that_comes_back(make: Callable[[], Space]):
    space = make()
    check_frozen(space)
    check_json(space, space_from_json)


def test_maps_are_tied_by_their_resolution_and_named_by_it():
    assert [group.name for group in on_maps().groups] == ["16x16", "8x8", "4x4"]
    names = [choice.name.rpartition(".")[2] for choice in on_maps().choices[:9]]
    paper = ["size", "stride", "repeat", "rotate", "shear_x", "shear_y", "share_c", "residual"]
    assert names == [*paper, "draw"]


def test_noise_goes_after_normalisation_and_nowhere_else():
    plan = on_maps().plan(chosen(on_maps(), size=1, draw="pixels"))
    meant = {s.name for s in ds.sites(WIDE, IMAGES) if any(r.fits(s) for r in plan.rules)}
    norms = {name for name, m in WIDE.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert meant == norms


def test_without_normalisation_it_goes_after_convolutions():
    model = SmallConv(channels=1, size=8, classes=3)
    space = conv(model, torch.zeros(2, 1, 8, 8))
    assert [(group.name, group.sites) for group in space.groups] == [
        ("8x8", "convs.0"),
        ("4x4", "convs.1"),
    ]
    assert not any(choice.name.endswith("residual") for choice in space.choices)


def test_untied_each_layer_is_decided_about_alone():
    space = conv(WIDE, IMAGES, tied="none")
    norms = [name for name, m in WIDE.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert [group.sites for group in space.groups] == norms


def test_where_leaves_the_rest_of_the_model_out():
    space = conv(WIDE, IMAGES, where=select("stages.2.**"))
    assert [group.sites for group in space.groups] == [
        "stages.2.0.norm1",
        "stages.2.*.norm2 stages.2.1.norm1",
    ]


def seen(plan: Plan, model: nn.Module, batch: Tensor, *names: str) -> list[Tensor]:
    """Which places of the sites are zero in one training pass."""
    with plan.installed(model, batch), ds.taps(model, hidden=select(" ".join(names))) as read:
        model.train()(batch)
    return [read.hidden[name] == 0 for name in names]


def test_residual_drops_the_same_of_the_shortcut_block_by_block():
    tokens = chosen(on_maps(), size=4, stride=4, draw="tiles", repeat="all", residual=True)
    names = [f"stages.1.{block}.{name}" for block in (0, 1) for name in ("norm2", "shortcut")]
    first, beside, second, other = seen(on_maps().plan(tokens), WIDE, IMAGES, *names)
    assert first.any()
    assert torch.equal(first, beside)
    assert torch.equal(second, other)
    assert not torch.equal(first, second)


def test_without_residual_the_shortcut_is_left_alone():
    plan = on_maps().plan(chosen(on_maps(), size=4, stride=4, repeat="all", residual=False))
    meant = {s.name for s in ds.sites(WIDE, IMAGES) if any(rule.fits(s) for rule in plan.rules)}
    assert "stages.1.0.norm2" in meant
    assert not any("shortcut" in name for name in meant)


@pytest.mark.parametrize("make", [on_maps, on_texts])
def test_no_noise_at_all_is_a_point(make: Callable[[], Space]):
    space = make()
    assert space.plan(chosen(space, size=0)) == Plan()


def patterns_of(**values: Value) -> set[Pattern]:
    return set(patterns(on_maps().plan(chosen(on_maps(), **values))))


def test_plain_channel_and_drop_block_are_points_among_maps():
    half = Bernoulli(rate=0.25), Bernoulli(rate=0.25, shared="height width")
    # 16, 8 and 4 pixels: a quarter of the side, and as much between.
    table = ConvTokens(size=(0, 1 / 4), stride=(1 / 4,))
    space = conv(WIDE, IMAGES, tokens=table)
    for draw, pattern in zip(("pixels", "channels"), half, strict=True):
        plan = space.plan(chosen(space, size=1, draw=draw))
        assert set(patterns(plan)) == {pattern}
    blocks = patterns(space.plan(chosen(space, size=1, draw="blocks")))
    assert blocks == [DropBlock(rate=0.25, size=size) for size in (4, 2, 1)]


def test_the_tokens_of_the_paper_are_the_settings_of_tiles():
    tokens = chosen(
        on_maps(), size=8, stride=16, repeat=2, rotate=30, shear_x=0.5, shear_y=0.0, share_c=True
    )
    first = on_maps().plan(tokens).rules[0].pattern
    assert first == Tiles(
        size=8, stride=16, repeat=2, rotate=30, shear_x=0.5, shear_y=0.0, side=16, shared="channel"
    )


def test_the_share_that_is_dropped_is_one_however_it_is_drawn():
    """Measured: the four ways of drawing leave equally much of a map, to five standard errors."""
    from dropsmith.axes import Axes
    from dropsmith.rng import Key, Source

    axes = Axes.read("batch channel height width", (64, 16, 16, 16))
    kept = {}
    for draw in ("tiles", "blocks", "channels", "pixels"):
        tokens = chosen(on_maps(), size=4, stride=4, repeat="all", draw=draw)
        pattern = on_maps().plan(tokens).rules[0].pattern
        mask = pattern.draw(axes, Source(Key.of(3))).expand(axes.sizes) == 0
        rows = mask.double().mean((2, 3)).flatten()
        kept[draw] = (rows.mean().item(), 5 * rows.std().item() / len(rows) ** 0.5 + 1e-9)
    assert all(abs(mean - 0.25) <= bound for mean, bound in kept.values()), kept


def test_sub_layers_are_projections_and_the_block_tied_along_the_stack():
    names = {group.name: group.sites for group in on_texts().groups}
    below = ["query", "key", "value", "attended", "feed", "fed"]
    assert names == {"block": "layers.*"} | {name: f"layers.*.{name}" for name in below}
    tokens = [choice.name for choice in on_texts().choices[:4]]
    assert tokens == ["block.size", "block.stride", "block.share_t", "block.share_c"]


def test_two_stacks_are_decided_about_apart():
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    space = sequence(model, (torch.zeros(2, 3, 8), torch.zeros(2, 4, 8)))
    heads = {group.name.rpartition(".")[0].rpartition(".layers")[0] for group in space.groups}
    assert heads == {"encoder", "decoder"}


def test_untied_each_block_is_decided_about_alone():
    names = [group.sites for group in sequence(TEXT, TEXTS, tied="none").groups]
    assert "layers.0.query" in names
    assert "layers.1.query" in names


def test_blocks_may_be_named():
    space = sequence(TEXT, TEXTS, blocks="layers.1")
    assert {group.sites.split(".")[1] for group in space.groups} == {"1"}


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({"share_t": "none", "share_c": False}, Bernoulli(rate=0.25)),
        ({"share_t": "all", "share_c": False}, Bernoulli(rate=0.25, shared="time")),
        ({"share_t": "span", "share_c": False}, Spans(size=1, stride=3)),
        ({"share_t": "span", "share_c": True}, Spans(size=1, stride=3, shared="unit")),
        ({"share_t": "none", "share_c": True}, Bernoulli(rate=0.25, shared="unit")),
    ],
)
def test_plain_locked_and_spans_are_points_among_texts(values: dict[str, Value], pattern: Pattern):
    plan = on_texts().plan(chosen(on_texts(), size=1, stride=3, **values))
    assert set(patterns(plan)) == {pattern}
    with plan.installed(TEXT, TEXTS):
        TEXT.train()(TEXTS)


@pytest.mark.slow
def test_every_point_of_a_small_table_goes_on_the_model():
    table = ConvTokens(
        size=(0, 1 / 2), stride=(1 / 2,), repeat=(1,), rotate=(30,), shear_x=(0.5,), shear_y=(0.0,)
    )
    space = conv(WIDE, IMAGES, tokens=table, where="stages.2.1.*")
    assert space.size == 32
    for tokens in space.all_tokens():
        with space.plan(tokens).installed(WIDE, IMAGES):
            assert WIDE.train()(IMAGES).isfinite().all()


def test_a_model_without_maps_or_blocks_is_refused_with_what_may_be_meant():
    plain = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with pytest.raises(SearchError, match=r"no map[\s\S]*spaces\.sequence"):
        conv(plain, torch.zeros(2, 3))
    with pytest.raises(SiteError, match="no attention in a Sequential"):
        sequence(plain, torch.zeros(2, 3))
    with pytest.raises(SearchError, match="no sub-layer to choose"):
        sequence(TEXT, TEXTS, where="nowhere")


def test_tables_without_no_noise_here_or_with_what_does_not_exist_are_refused():
    for table in (ConvTokens, SequenceTokens):
        with pytest.raises(SearchError, match="size must contain 0"):
            table(size=(1,))
    with pytest.raises(SearchError, match="draw cannot be 'stripes'"):
        ConvTokens(draw=("stripes",))
    with pytest.raises(SearchError, match="share_t cannot be 'some'"):
        SequenceTokens(share_t=("some",))
    with pytest.raises(SearchError, match="stride must be 1 or more"):
        SequenceTokens(stride=(0, 1))
    with pytest.raises(SearchError, match="tied is"):
        conv(WIDE, IMAGES, tied="depth")  # type: ignore[arg-type]


def test_the_model_is_left_as_it_was():
    model = WideResNet(depth=10, width=1, classes=4).eval()
    before = {name: own.clone() for name, own in model.state_dict().items()}
    conv(model, IMAGES)
    assert not model.training
    assert all(torch.equal(own, model.state_dict()[name]) for name, own in before.items())
