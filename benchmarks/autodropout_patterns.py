"""What AutoDropout's patterns cost a training step, against the same step without noise.

On Wide-ResNet-28-10 tilings are on what every BatchNorm of a block returns, at 24 places. On a
Transformer-XL of the size that is trained on Penn Treebank spans are on what each half of a layer
adds to the sum, at 32 places, where the paper of Transformer-XL has dropout; and then on all eight
sub-layers, at 128 places. At most 1.03 and 1.02 times a step without noise is asked. Plain keyed
dropout at the same places stands beside them. Batches are small, for a CPU: what a draw costs
whatever its size weighs more here than in training.
"""

from copy import deepcopy
from functools import partial

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
ADDED = ("layers.*.attended", "layers.*.fed")
INSIDE = ("layers.*.query", "layers.*.key", "layers.*.value", "layers.*.feed")
SHORTCUTS = ("layers.*.attention_shortcut", "layers.*.feed_shortcut")


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


def texts(device: torch.device, where: tuple[str, ...] = ADDED) -> dict[str, Call]:
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

    ways = {name: step(planned(model, where, pattern)) for name, pattern in SPANS.items()}
    return {"no noise": step(model)} | ways


TRANSFORMER = f"Transformer-XL, 16 layers of 380, {WORDS[0]} × {WORDS[1]} words"
ASKED = dict.fromkeys((name for name in SPANS if "Spans" in name), 1.02)
CASE = Case(
    name="autodropout_patterns",
    tests=("tests/patterns/test_tiles.py", "tests/patterns/test_spans.py"),
    comparisons=(
        Comparison(
            name=f"Wide-ResNet-28-10, {IMAGES} images, 24 places: one step",
            ways=images,
            targets=dict.fromkeys((name for name in TILES if "Tiles" in name), 1.03),
        ),
        Comparison(name=f"{TRANSFORMER}, 32 places: one step", ways=texts, targets=ASKED),
        Comparison(
            name=f"{TRANSFORMER}, 128 places: one step",
            ways=partial(texts, where=(*ADDED, *INSIDE, *SHORTCUTS)),
            targets=ASKED,
        ),
    ),
    rounds=5,
)

if __name__ == "__main__":
    main(CASE)
