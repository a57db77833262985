"""What AutoDropout's patterns cost a training step, against the same step without noise.

On Wide-ResNet-28-10 tilings are on what every BatchNorm of a block returns, at 24 places. On a
Transformer-XL of the size that is trained on Penn Treebank spans are on what each half of a layer
adds to the sum, at 32 places, where the paper of Transformer-XL has dropout; and then on all eight
sub-layers, at 128 places. At most 1.03 and 1.02 times a step without noise is asked. Plain keyed
dropout at the same places stands beside them, and torch's own; and so does the least that noise
with a mask for each unit can cost, a product with one that is there. On a CPU batches are small:
what a draw costs whatever its size weighs more there than in training. On a GPU they are those of
training, in bfloat16, with channels together behind the picture; and since a step then waits for
launches, the same models stand there compiled, too.
"""

from collections.abc import Callable
from copy import deepcopy
from fnmatch import fnmatch
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from torch import Tensor, nn

from dropsmith.models import TransformerXL, WideResNet
from dropsmith.patterns import Bernoulli, Pattern, Spans, Tiles
from dropsmith.plans import Plan, rule

SMALL = {"images": 8, "texts": 8}
LARGE = {"images": 128, "texts": 60}
TIME = 70
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


FEW = ("Spans, one for each unit", "Spans, locked")
COMPILED = ("Tiles, one for all channels", "Tiles, turned, one for each channel", "Bernoulli")


def planned(model: nn.Module, where: tuple[str, ...], pattern: Pattern) -> nn.Module:
    """A copy of a model with the pattern at some places."""
    made = deepcopy(model)
    Plan(*(rule(name, pattern) for name in where)).install(made)
    return made


Hook = Callable[[nn.Module, Any, Tensor], Tensor]


def dropout(rate: float) -> Hook:
    """Torch's own dropout, as a hook."""
    return lambda module, given, output: F.dropout(output, rate)


class Product:
    """A product with a mask that is there already, as a hook."""

    def __init__(self) -> None:
        self.mask: Tensor | None = None

    def __call__(self, module: nn.Module, given: Any, output: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = torch.ones_like(output)
        return output * self.mask


def hooked(model: nn.Module, where: tuple[str, ...], hook: Callable[[], Hook]) -> nn.Module:
    """A copy of a model with a hook of its own on each module at some places."""
    made = deepcopy(model)
    for name, module in made.named_modules():
        if any(fnmatch(name, one) for one in where):
            module.register_forward_hook(hook())
    return made


def beside(model: nn.Module, where: tuple[str, ...], rate: float) -> dict[str, nn.Module]:
    """The peer, and the limit."""
    return {
        "F.dropout": hooked(model, where, lambda: dropout(rate)),
        "a product with a mask that is there": hooked(model, where, Product),
    }


def sizes(kind: str) -> dict[str, int]:
    """Of a batch on a kind of device."""
    return LARGE if kind == "cuda" else SMALL


def half(device: torch.device) -> torch.autocast:
    """bfloat16 on a GPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def images(device: torch.device, compiled: bool = False) -> dict[str, Call]:
    """A step on images, without noise and with each kind of tiling."""
    torch.manual_seed(0)
    model = WideResNet(depth=28, width=10, classes=10).to(device).train()
    if device.type == "cuda":
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore
    rows = sizes(device.type)["images"]
    x, labels = torch.randn(rows, 3, 32, 32, device=device), torch.arange(rows, device=device)

    def step(model: nn.Module) -> Call:
        if compiled:
            model.compile()

        def call() -> None:
            with half(device):
                loss = F.cross_entropy(model(x), labels % 10)
            loss.backward()
            model.zero_grad(set_to_none=True)

        return call

    where = ("stages.*.*.norm1", "stages.*.*.norm2")
    kinds = {name: TILES[name] for name in (COMPILED if compiled else TILES)}
    made = {name: planned(model, where, pattern) for name, pattern in kinds.items()}
    if not compiled:
        made |= beside(model, where, 0.1)
    return {name: step(one) for name, one in ({"no noise": model} | made).items()}


def texts(
    device: torch.device, where: tuple[str, ...] = ADDED, compiled: bool = False
) -> dict[str, Call]:
    """A step on a segment of text after another, without noise and with each kind of spans."""
    torch.manual_seed(0)
    model = TransformerXL(words=10_000, width=380, heads=10, layers=16, feed=900, memory=70)
    model = model.to(device).train()
    tokens = torch.randint(10_000, (sizes(device.type)["texts"], TIME), device=device)
    with torch.no_grad(), half(device):
        state = model(tokens).state

    def step(model: nn.Module) -> Call:
        if compiled:
            model.compile()

        def call() -> None:
            with half(device):
                scores = model(tokens, state).logits
                loss = F.cross_entropy(scores.flatten(0, 1), tokens.flatten())
            loss.backward()
            model.zero_grad(set_to_none=True)

        return call

    kinds = {name: SPANS[name] for name in (FEW if compiled else SPANS)}
    made = {name: planned(model, where, pattern) for name, pattern in kinds.items()}
    if not compiled:
        made |= beside(model, where, 0.125)
    return {name: step(one) for name, one in ({"no noise": model} | made).items()}


def on(kind: str, compiled: bool = False) -> tuple[Comparison, ...]:
    """All comparisons with the sizes of one kind of device."""
    batch = sizes(kind)
    how = ", compiled" if compiled else ""
    network = f"Transformer-XL, 16 layers of 380{how}, {batch['texts']} × {TIME} words"
    asked = dict.fromkeys((name for name in SPANS if "Spans" in name), 1.02)
    everywhere = (*ADDED, *INSIDE, *SHORTCUTS)
    found = (
        Comparison(
            name=f"Wide-ResNet-28-10{how}, {batch['images']} images, 24 places: one step",
            ways=partial(images, compiled=compiled),
            targets=dict.fromkeys((name for name in TILES if "Tiles" in name), 1.03),
            only=kind,
        ),
        Comparison(
            name=f"{network}, 32 places: one step",
            ways=partial(texts, compiled=compiled),
            targets=asked,
            only=kind,
        ),
        Comparison(
            name=f"{network}, 128 places: one step",
            ways=partial(texts, where=everywhere),
            targets=asked,
            only=kind,
        ),
    )
    # All 128 places take minutes to compile.
    return found[:2] if compiled else found


CASE = Case(
    name="autodropout_patterns",
    tests=("tests/patterns/test_tiles.py", "tests/patterns/test_spans.py"),
    comparisons=(*on("cpu"), *on("cuda"), *on("cuda", compiled=True)),
    rounds=5,
)

if __name__ == "__main__":
    main(CASE)
