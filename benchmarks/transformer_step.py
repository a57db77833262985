"""What R-Drop costs on a Transformer of BERT-base's shape, and what the cheaper settings cost.

Exact R-Drop is compared with a plain step on twice the rows, which are the same passes without the
term: at most 1.03 times is asked. Everything cheaper is compared with a plain step on the same
rows: with noise in the upper half only, and the lower half run once for both views, at most 1.55
times is asked. Half a step (`every=2`) and half a batch (`batch_fraction=0.5`) stand beside them.

Width, heads, vocabulary and head are BERT-base's; of its twelve layers there are four, whose halves
stand to each other as those of twelve do: `bert_base_step` has all twelve, and fewer ways. Every
way has a model of its own, of the same weights. The optimiser's part is the same for all and left
out.
"""

from collections.abc import Callable

import torch
from benchmarks._harness import Case, Comparison, main
from benchmarks._measure import Call
from transformers import BertConfig, BertForSequenceClassification

import dropsmith as ds
from dropsmith.objectives import RDrop

ALPHA, ROWS, TIME, LAYERS = 1.0, 4, 32, 4
Step = Callable[[], object]


def bert(noisy: int, layers: int = LAYERS) -> BertForSequenceClassification:
    """BERT-base's shape, random weights, dropout in its last `noisy` layers and in its head."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForSequenceClassification(BertConfig(num_hidden_layers=layers)).train()
    if noisy < layers:
        below = [model.bert.embeddings, *model.bert.encoder.layer[: layers - noisy]]
        for dropout in (m for part in below for m in part.modules()):
            if isinstance(dropout, torch.nn.Dropout):
                dropout.p = 0.0
    return model


def plain(rows: int, noisy: int, device: torch.device, layers: int = LAYERS) -> Call:
    """The model's own loss."""
    return step(bert(noisy, layers).to(device), rows)


def consistent(
    noisy: int,
    device: torch.device,
    trunk: str | None = None,
    layers: int = LAYERS,
    **settings: float,
) -> Call:
    """R-Drop on `ROWS` rows."""
    model = bert(noisy, layers).to(device)
    objective = RDrop(alpha=ALPHA, **settings)  # pyright: ignore[reportArgumentType]
    made = ds.consistent(model, objective, trunk=trunk)
    return step(made, ROWS, steps=objective.every)


def step(model: torch.nn.Module, rows: int, steps: int = 1) -> Call:
    """Forward and backward; the optimiser's part is the same for all and left out."""
    device = next(model.parameters()).device
    ids = torch.randint(1000, 30000, (rows, TIME), device=device)
    mask, labels = torch.ones_like(ids), torch.randint(2, (rows,), device=device)

    def call() -> None:
        # Several steps as one, where they differ, so that every call does the same work.
        for _ in range(steps):
            model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
            model.zero_grad(set_to_none=True)

    return call


def exact(device: torch.device) -> dict[str, Call]:
    """Noise everywhere."""
    return {
        "plain, twice the rows": plain(2 * ROWS, LAYERS, device),
        "R-Drop": consistent(LAYERS, device),
    }


def cheaper(device: torch.device) -> dict[str, Call]:
    """Noise in the upper half; every way takes two steps, one of which is plain with `every=2`."""
    half = LAYERS // 2
    trunk = upper(LAYERS)
    twice = {
        "plain, the same rows": plain(ROWS, half, device),
        "R-Drop, whole views": consistent(half, device),
        "R-Drop, shared trunk": consistent(half, device, trunk),
        "R-Drop, half the batch": consistent(half, device, batch_fraction=0.5),
    }
    ways = {name: repeated(call, 2) for name, call in twice.items()}
    ways["R-Drop, every second step"] = consistent(half, device, every=2)
    ways["R-Drop, trunk and every second"] = consistent(half, device, trunk, every=2)
    return ways


def upper(layers: int) -> str:
    """Where the upper half of the layers begins."""
    return f"bert.encoder.layer.{layers // 2}"


def repeated(call: Call, times: int) -> Call:
    """The same call several times."""

    def calls() -> None:
        for _ in range(times):
            call()

    return calls


SIZES = f"BERT-base's shape, {LAYERS} layers, {ROWS} × {TIME} words"
CASE = Case(
    name="transformer_step",
    tests=("tests/consistency/test_trunk.py", "tests/objectives/test_r_drop.py"),
    comparisons=(
        Comparison(name=f"{SIZES}: one step", ways=exact, targets={"R-Drop": 1.03}, threads=1),
        Comparison(
            name=f"{SIZES}, noise in the upper half: two steps",
            ways=cheaper,
            targets={"R-Drop, shared trunk": 1.55},
            threads=1,
        ),
    ),
    rounds=5,
)

if __name__ == "__main__":
    main(CASE)
