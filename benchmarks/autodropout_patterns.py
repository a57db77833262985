"""What AutoDropout's patterns cost a training step: on every layer, against a step without noise.

On Wide-ResNet-28-10 tilings are on what every BatchNorm of a block returns, so 24 times; on a
Transformer-XL of the size that is trained on Penn Treebank, spans are on all eight sub-layers of its
16 blocks, so 128 times. At most 1.03 and 1.02 times a step without noise is asked. Plain keyed
dropout at the same places stands beside them. Small batches, for a CPU: what a draw costs whatever
its size weighs more here than in training.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import nn

from dropsmith.models import TransformerXL, WideResNet
from dropsmith.patterns import Bernoulli, Pattern, Spans, Tiles
from dropsmith.sites import Plan, rule

IMAGES, WORDS = 8, (8, 70)
TILES = {
    "Tiles, one for all channels": Tiles(size=4, stride=8, side=32, shared="channel"),
    "Tiles, turned, one for all channels": Tiles(
        size=4, stride=8, side=32, rotate=30, shared="channel"
    ),
    "Tiles, one for each channel": Tiles(size=4, stride=8, side=32),
    "Tiles, turned, one for each channel": Tiles(size=4, stride=8, side=32, rotate=30),
    "Bernoulli": Bernoulli(rate=0.1),
}
SPANS = {
    "Spans of whole steps": Spans(size=2, stride=14, shared="unit"),
    "Spans, one for each unit": Spans(size=2, stride=14),
    "Spans, locked": Spans(size=2, stride=14, shared="time"),
    "Bernoulli": Bernoulli(rate=0.125),
}
SUB_LAYERS = ("query", "key", "value", "attended", "feed", "fed")
SHORTCUTS = ("attention_shortcut", "feed_shortcut")


def planned(model: nn.Module, where: tuple[str, ...], pattern: Pattern) -> nn.Module:
    """A copy of a model with the pattern at some places."""
    made = deepcopy(model)
    Plan(*(rule(name, pattern) for name in where)).install(made)
    return made


def images(device: torch.device) -> dict[str, Call]:
    """A step on images, without noise and with each kind of tiling."""
    torch.manual_seed(0)
    model = WideResNet(depth=28, width=10, classes=10).to(device).train()
    x, labels = torch.randn(IMAGES, 3, 32, 32, device=device), torch.arange(IMAGES, device=device)

    def step(model: nn.Module) -> Call:
        def call() -> None:
            F.cross_entropy(model(x), labels % 10).backward()
            model.zero_grad(set_to_none=True)

        return call

    where = ("stages.*.*.norm1", "stages.*.*.norm2")
    ways = {name: step(planned(model, where, pattern)) for name, pattern in TILES.items()}
    return {"no noise": step(model)} | ways


def texts(device: torch.device) -> dict[str, Call]:
    """A step on a segment of text after another, without noise and with each kind of spans."""
    torch.manual_seed(0)
    model = TransformerXL(words=10_000, width=380, heads=10, layers=16, feed=900, memory=70)
    model = model.to(device).train()
    tokens = torch.randint(10_000, WORDS, device=device)
    with torch.no_grad():
        state = model(tokens).state

    def step(model: nn.Module) -> Call:
        def call() -> None:
            scores = model(tokens, state).logits
            F.cross_entropy(scores.flatten(0, 1), tokens.flatten()).backward()
            model.zero_grad(set_to_none=True)

        return call

    where = tuple(f"layers.*.{name}" for name in (*SUB_LAYERS, *SHORTCUTS))
    ways = {name: step(planned(model, where, pattern)) for name, pattern in SPANS.items()}
    return {"no noise": step(model)} | ways


CASE = Case(
    name="autodropout_patterns",
    tests=("tests/patterns/test_tiles.py", "tests/patterns/test_spans.py"),
    comparisons=(
        Comparison(
            name=f"Wide-ResNet-28-10, {IMAGES} images, 24 places: one step",
            ways=images,
            targets=dict.fromkeys((name for name in TILES if "Tiles" in name), 1.03),
        ),
        Comparison(
            name=f"Transformer-XL, 16 layers of 380, {WORDS[0]} × {WORDS[1]} words, 128 places",
            ways=texts,
            targets=dict.fromkeys((name for name in SPANS if "Spans" in name), 1.02),
        ),
    ),
    rounds=5,
)

if __name__ == "__main__":
    main(CASE)
