"""Scores of generated texts, by the libraries whose numbers others report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import zip_longest

from dropsmith.errors import MissingExtra

References = Sequence[tuple[str, ...]]
"""For each text, what it is compared with."""


@dataclass(frozen=True, kw_only=True)
class GenerationScores:
    """Scores of what a model wrote; nothing of a task in which nothing is written.

    Args:
        scores: by name.
        signatures: how each kind of score was computed, in the words of its library.
        texts: what was written, in order.
        inputs: what each was written for, where that has a name: the file of a picture.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


Scorer = Callable[[Sequence[str], References], GenerationScores]


def bleu(texts: Sequence[str], references: References) -> GenerationScores:
    """BLEU of all texts together, 0 to 100 (Papineni et al., 2002), by sacreBLEU (Post, 2018).

    >>> bleu(["a man walks on the beach"], [("a man walks on the beach",)]).scores["bleu"] > 99.9
    True

    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("BLEU", "sacrebleu", "generation") from None
    metric = BLEU()
    result = metric.corpus_score(
        list(texts), [list(column) for column in zip(*references, strict=True)]
    )
    signature = str(metric.get_signature())
    return GenerationScores(
        scores={"bleu": result.score}, signatures={"BLEU": signature}, texts=tuple(texts)
    )


def caption_bleu(texts: Sequence[str], references: References) -> GenerationScores:
    """BLEU-1 to BLEU-4 of all captions together, 0 to 100, as captioning reports them.

    BLEU-n is the geometric mean of the precisions of 1 to n words, times the brevity penalty
    against the closest reference (Papineni et al., 2002), without smoothing, by sacreBLEU (Post,
    2018). The texts are words that are split already; a text may have any number of references.

    >>> scores = caption_bleu(["a dog runs"], [("a dog runs fast", "the dog sleeps")]).scores
    >>> {name: round(value, 1) for name, value in scores.items()}
    {'bleu1': 100.0, 'bleu2': 100.0, 'bleu3': 100.0, 'bleu4': 0.0}

    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("BLEU", "sacrebleu", "generation") from None
    columns = [list(column) for column in zip_longest(*references)]
    scores: dict[str, float] = {}
    signature = ""
    for order in range(1, 5):
        metric = BLEU(max_ngram_order=order, smooth_method="none", tokenize="none", force=True)
        scores[f"bleu{order}"] = metric.corpus_score(list(texts), columns).score
        signature = str(metric.get_signature())
    return GenerationScores(
        scores=scores,
        signatures={"BLEU": f"cumulative, 1 to 4 words|{signature}"},
        texts=tuple(texts),
    )


def rouge(texts: Sequence[str], references: References) -> GenerationScores:
    """Mean F of ROUGE-1, -2 and -L, each text against its best reference (Lin, 2004).

    >>> round(rouge(["the cats sat"], [("a dog", "the cat sat")]).scores["rouge1"], 3)
    1.0

    Raises:
        MissingExtra: rouge-score is not installed.
    """
    try:
        from rouge_score.rouge_scorer import (  # pyright: ignore[reportMissingImports]
            RougeScorer,
        )
    except ImportError:
        raise MissingExtra("ROUGE", "rouge-score", "generation") from None
    kinds = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(list(kinds), use_stemmer=True)
    pairs = zip(texts, references, strict=True)
    results = [scorer.score_multi(list(targets), text) for text, targets in pairs]
    return GenerationScores(
        scores={
            k.lower(): sum(result[k].fmeasure for result in results) / len(results) for k in kinds
        },
        signatures={
            "ROUGE": f"F, Porter's stems, best reference, rouge-score {version('rouge-score')}"
        },
        texts=tuple(texts),
    )
