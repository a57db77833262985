"""R-Drop's coefficients in papers and published code, as the equal objective of dropsmith.

Every loss below is equal to: mean cross-entropy over both views + w × mean over examples of
½ (KL(p‖q) + KL(q‖p)). `RDrop(alpha=a)` has w = a / 2, so functions return `RDrop(alpha=2 * w)`.
If published code sums the KL over the batch and averages the cross-entropy, w depends on the batch
size, which is then an argument: the rows of one view in one forward pass.
"""

from dropsmith.errors import ObjectiveError, excerpt
from dropsmith.objectives.r_drop import RDrop


def rdrop_from_paper(alpha: float) -> RDrop:
    """The paper's equation: CE₁ + CE₂ + α · ½ (KL + KL) per example, so w = α / 2.

    >>> rdrop_from_paper(5)
    RDrop(alpha=5)
    """
    return RDrop(alpha=alpha)


def rdrop_from_fairseq(alpha: float) -> RDrop:
    """The authors' translation and summarisation criterion: all sums over tokens, so w = α / 2.

    >>> rdrop_from_fairseq(5)
    RDrop(alpha=5)
    """
    return RDrop(alpha=alpha)


def rdrop_from_readme(alpha: float, batch: int) -> RDrop:
    """The authors' README: ½ (CE₁ + CE₂) + α · ½ (KL + KL), with the KL summed, so w = α · B.

    >>> rdrop_from_readme(1, batch=32)
    RDrop(alpha=64)
    """
    return RDrop(alpha=2 * alpha * _rows(batch))


def rdrop_from_official_bert(batch: int) -> RDrop:
    """The authors' BERT classifier: CE₁ + CE₂ + 0.5 · ½ (KL + KL), the KL summed: w = B / 4.

    >>> rdrop_from_official_bert(batch=32)
    RDrop(alpha=16.0)
    """
    return RDrop(alpha=_rows(batch) / 2)


def rdrop_from_official_roberta(batch: int) -> RDrop:
    """The authors' RoBERTa classifier: ½ CE₁ + 0.7 · ½ (KL + KL), the KL summed: w = 1.4 · B.

    In that code the second view has no cross-entropy, because the branch that adds it is never
    reached. Here both views have it: the weight relative to the mean is the same, but the missing
    half is not reproduced.

    >>> rdrop_from_official_roberta(batch=10)
    RDrop(alpha=28.0)
    """
    return RDrop(alpha=2.8 * _rows(batch))


def rdrop_from_official_vit(alpha: float, batch: int) -> RDrop:
    """The authors' vision Transformer: CE₁ + CE₂ + α (KL + KL), the KL summed: w = α · B.

    >>> rdrop_from_official_vit(0.25, batch=32)
    RDrop(alpha=16.0)

    Args:
        alpha: their `--alpha`, 0.3 in their scripts.
        batch: the rows of one micro-batch, after gradient accumulation has divided the batch.
    """
    return RDrop(alpha=2 * alpha * _rows(batch))


def rdrop_from_bert4keras(alpha: float) -> RDrop:
    """The bert4keras scripts: mean CE over 2 B rows + mean of (KL + KL) · α / 4, so w = α / 2.

    >>> rdrop_from_bert4keras(4)
    RDrop(alpha=4)
    """
    return RDrop(alpha=alpha)


def rdrop_from_bert4torch(alpha: float, classes: int) -> RDrop:
    """bert4torch's `RDropLoss`, which averages over classes as well, so w = α / (2 C).

    >>> rdrop_from_bert4torch(4, classes=100)
    RDrop(alpha=0.04)
    """
    return RDrop(alpha=alpha / _rows(classes, "classes"))


def rdrop_from_paddlenlp(coefficient: float, batch: int) -> RDrop:
    """PaddleNLP's `RDropLoss` without reduction, summed, with ½ (CE₁ + CE₂): w = a · B.

    >>> rdrop_from_paddlenlp(1, batch=32)
    RDrop(alpha=64)
    """
    return RDrop(alpha=2 * coefficient * _rows(batch))


def _rows(number: int, name: str = "batch") -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ObjectiveError(f"{name} must be an integer ≥ 1, got {excerpt(number)}")
    return number
