"""Pham & Le (2021), AutoDropout: a plan learned on a language model, carried to translation.

The plan is searched on the Penn Treebank and not again: what was found at a sub-layer of the
Transformer-XL goes to that sub-layer of encoder and decoder. How it is carried is ours.
"""

from dataclasses import replace

from dropsmith.objectives import TaskLoss
from dropsmith.plans import Plan
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.auto_dropout import (
    MODELS,
    NAME,
    OUR_CHOICES,
    PAPER,
    penn_treebank,
    quoted_score,
)
from dropsmith_recipes.proxy import Proxy

NAMES = (
    ("embedding", "net.model.*.embed_tokens"),
    ("head", "net.lm_head"),
    ("layers", ("net.model.encoder.layers", "net.model.decoder.layers")),
    ("query", "*.q_proj"),
    ("key", "*.k_proj"),
    ("value", "*.v_proj"),
    ("attended", "*.out_proj"),
    ("feed", "fc1"),
    ("fed", "fc2"),
)
"""Parts of `TransformerXL` in a Marian; a decoder's two attentions take after one."""

# A hundred epochs and thirty, of 4,096 and 65,536 tokens a step.
_IWSLT = Budget(
    epochs=100,
    batch_size=4_096,
    learning_rate=5e-4,
    weight_decay=1e-4,
    warmup=0.04,
    clip=None,
    optimiser=optimisers.AdamW(second=0.98),
    schedule=learning_rates.InverseRoot(),
)
_WMT = replace(_IWSLT, epochs=30, batch_size=65_536, learning_rate=1e-3, weight_decay=0.0)
_CPU = replace(_IWSLT, epochs=12, batch_size=2_048, learning_rate=2e-3, warmup=0.1, clip=1.0)


def tables() -> tuple[Recipe, ...]:
    """Both translations that the paper carries a plan to."""
    return (iwslt(), wmt())


def iwslt() -> Recipe:
    """IWSLT 2014, German to English."""
    score = quoted_score("test_bleu", 35.8, "IWSLT 2014")
    return _transfer("iwslt14-de-en", "iwslt2017", _IWSLT, score, 49_258_496)


def wmt() -> Recipe:
    """WMT 2014, English to French."""
    score = quoted_score("test_bleu", 40.0, "WMT 2014")
    return _transfer("wmt14-en-fr", "multi30k", _WMT, score, 60_522_496)


def _transfer(
    task: str, stands_in: str, budget: Budget, score: PublishedScore, parameters: int
) -> Recipe:
    words = penn_treebank()
    paper = Preset(
        model=f"{MODELS}:translator",
        plan=Plan(),
        budget=budget,
        search=_search(words.paper.search),
    )
    return Recipe(
        task=task,
        name=NAME,
        about="a Transformer under a plan that was searched on the Penn Treebank",
        source=f"{PAPER}, transfer",
        objective=TaskLoss(),
        paper=paper,
        cpu=replace(
            paper,
            model=None,
            budget=_CPU,
            limit=5_000,
            task=stands_in,
            search=_search(words.cpu.search),
        ),
        published_scores=(score,),
        parameters=parameters,
        unlike=(
            *OUR_CHOICES,
            "the search is on a Transformer-XL of three layers, each of which stands for two of "
            "the encoder and two of the decoder",
            "pieces of words are of bytes and learnt here, and BLEU is sacreBLEU's",
        ),
    )


def _search(proxy: Proxy | None) -> Proxy:
    assert proxy is not None
    return replace(proxy, model=f"{MODELS}:transformer_xl_small", names=NAMES)
