"""The claims of the five papers, where they were made, and the comparisons that test them here.

The numbers are those of the papers, as other texts quote them where the papers' own tables could
not be read; `certainty` says which.
"""

from dataclasses import dataclass

CONTROL, DROPOUT, ONE_PASS = "two-sample", "dropout", "one pass"
"""What a method is compared with. `one pass` is the method itself, predicting without samples."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One difference in a comparison of ours.

    Args:
        folder: of the comparison, in results/.
        method: whose score it is.
        reference: the method that it is compared with, or `one pass`.
        metric: the score.
    """

    folder: str
    method: str
    reference: str
    metric: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a paper.

    Args:
        paper: its short name.
        text: the claim, in a sentence.
        published: where it was made, with the numbers.
        certainty: where these numbers were seen.
        evidence: the comparisons that test it here; none where nothing does.
        beyond: what a test as published would take.
    """

    paper: str
    text: str
    published: str
    certainty: str
    beyond: str
    evidence: tuple[Evidence, ...] = ()


def _runs(metric: str, method: str, *pairs: tuple[str, str]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(folder=folder, method=method, reference=reference, metric=metric)
        for folder, reference in pairs
    )


_GAL = "Gal & Ghahramani (2016)"
_FRATERNAL = "Zolna et al. (2018), Fraternal Dropout"
_AUTO = "Pham & Le (2021), AutoDropout"
_R_DROP = "Liang, Wu et al. (2021), R-Drop"
_LR_DROP = "Ni et al. (2024), LR-Drop"

_KAPPA_0015 = "dropsmith_recipes.fraternal_captions:KAPPA_0015"
_KAPPA_0005 = "dropsmith_recipes.fraternal_captions:KAPPA_0005"

_QUOTED = "quoted by other texts"
_CODE = "in the README of the authors' code"
_RECALLED = "recalled, not seen in a text that could be read"

CLAIMS = (
    Claim(
        paper=_GAL,
        text="Masks that stay over time regularise a recurrent language model better than masks "
        "drawn anew at every step.",
        published="Penn Treebank, two layers of 650: test perplexity 82.7 → 79.7 (tied), 79.7 "
        "(untied)",
        certainty=_QUOTED,
        evidence=(
            *_runs("test_perplexity", "variational", ("penn-treebank", DROPOUT)),
            *_runs("test_perplexity", "variational-untied", ("penn-treebank", DROPOUT)),
        ),
        beyond="the whole text and 39 epochs of the medium model: "
        "`dropsmith compare penn-treebank/naive-lstm-medium,penn-treebank/variational-lstm-medium "
        "--preset paper` on a GPU",
    ),
    Claim(
        paper=_GAL,
        text="The mean of noisy passes predicts better than one pass without noise.",
        published="Penn Treebank, two layers of 650, untied: test perplexity 79.7 → 78.6",
        certainty=_QUOTED,
        evidence=(
            *_runs("test_perplexity", "variational", ("penn-treebank", ONE_PASS)),
            *_runs("test_perplexity", "variational-untied", ("penn-treebank", ONE_PASS)),
            *_runs("test_rmse", "variational", ("sentiment-scale", ONE_PASS)),
            *_runs("test_rmse", "variational", ("sentiment-scale-gru", ONE_PASS)),
        ),
        beyond="the medium model on the whole text, with 1,000 samples",
    ),
    Claim(
        paper=_GAL,
        text="In the regression of film ratings, variational masks have a smaller error than "
        "masks drawn anew at every step.",
        published="curves without numbers, of an LSTM and a GRU",
        certainty="the paper has no table of it",
        evidence=(
            *_runs("test_rmse", "variational", ("sentiment-scale", "naive")),
            *_runs("test_rmse", "variational", ("sentiment-scale-gru", "naive")),
        ),
        beyond="the paper's 250 and 1,250 epochs, and its division of pieces of one review",
    ),
    Claim(
        paper=_FRATERNAL,
        text="A penalty on the squared difference of two dropout passes improves a recurrent "
        "language model.",
        published="Penn Treebank, AWD-LSTM of three layers, without fine-tuning: test perplexity "
        "58.8 → 58.0",
        certainty=_CODE,
        evidence=_runs(
            "test_perplexity",
            "fraternal",
            ("penn-treebank", DROPOUT),
            ("penn-treebank", CONTROL),
        ),
        beyond="a day of a GPU: `dropsmith compare penn-treebank/awd-lstm,"
        "penn-treebank/fraternal-awd-lstm --preset paper`",
    ),
    Claim(
        paper=_FRATERNAL,
        text="The penalty helps more than those of the Π-model and of expectation-linear dropout.",
        published="Penn Treebank, one layer of 655",
        certainty="the perplexities of the others are not known",
        evidence=(
            *_runs("test_perplexity", "fraternal", ("penn-treebank", "pi")),
            *_runs("test_perplexity", "fraternal", ("penn-treebank", "expectation-linear")),
            *_runs("test_accuracy", "fraternal", ("digits", "pi")),
            *_runs("test_accuracy", "fraternal", ("digits", "expectation-linear")),
        ),
        beyond="the whole text and a thousand epochs of the one-layer model",
    ),
    Claim(
        paper=_FRATERNAL,
        text="It improves captions of images, and classification with few labels.",
        published="COCO, BLEU-4: 25.6 → 26.1 (κ = 0.015), 26.3 (κ = 0.005); CIFAR-10 with 4,000 "
        "labels, accuracy 77.1 → 79.1 with unlabelled images",
        certainty=_RECALLED,
        evidence=(
            *_runs("test_bleu4", _KAPPA_0015, ("flickr8k", DROPOUT), ("flickr8k", CONTROL)),
            *_runs("test_bleu4", _KAPPA_0005, ("flickr8k", DROPOUT), ("flickr8k", CONTROL)),
            *_runs("test_accuracy", "fraternal-unlabelled", ("digits-100-labels", DROPOUT)),
        ),
        beyond="COCO and its images, a ResNet-56, and GPU days",
    ),
    Claim(
        paper=_AUTO,
        text="A pattern that is found by search is better than the usual dropout of the network.",
        published="CIFAR-10, WRN-28-10: 96.8 % (97.9 % with RandAugment); ImageNet, ResNet-50: "
        "76.5 → 78.7 %; Penn Treebank, Transformer-XL: test perplexity 54.9",
        certainty=_QUOTED,
        evidence=(
            *_runs("test_accuracy", "learned", ("search-digits/retrained", DROPOUT)),
            *_runs("test_accuracy", "learned", ("search-cifar10-wrn/retrained", DROPOUT)),
            *_runs("test_perplexity", "learned", ("search-penn-treebank-xl/retrained", DROPOUT)),
        ),
        beyond="thousands of trials of WRN-28-2 on all of CIFAR-10, and the final networks",
    ),
    Claim(
        paper=_AUTO,
        text="A pattern that is found on one task helps on another.",
        published="found on Penn Treebank; IWSLT 2014 De–En 35.8 BLEU, WMT 2014 En–Fr 40.0 BLEU",
        certainty=_QUOTED,
        evidence=_runs("test_bleu", "learned", ("carried-to-multi30k", DROPOUT)),
        beyond="IWSLT 2014 with a Transformer-base, and a search on all of Penn Treebank",
    ),
    Claim(
        paper=_R_DROP,
        text="A symmetric divergence between two dropout passes improves fine-tuning of a "
        "pretrained encoder.",
        published="GLUE development sets, BERT-base: mean +1.21 (CoLA 62.3 → 62.6, RTE 68.2 → "
        "71.1); RoBERTa-large: mean +0.80",
        certainty=_QUOTED,
        evidence=_runs(
            "test_matthews",
            "r-drop",
            ("cola-minilm-updates", DROPOUT),
            ("cola-minilm-updates", CONTROL),
            ("cola-minilm-views", DROPOUT),
            ("cola-minilm-views", CONTROL),
        )
        + _runs(
            "test_accuracy",
            "r-drop",
            ("sst2-500-minilm-updates", DROPOUT),
            ("sst2-500-minilm-updates", CONTROL),
            ("sst2-500-minilm-views", DROPOUT),
            ("sst2-500-minilm-views", CONTROL),
        ),
        beyond="BERT-base and RoBERTa-large on all of GLUE: the recipes `cola/bert-base-r-drop` "
        "and its neighbours with `--preset paper`, hours of a GPU each",
    ),
    Claim(
        paper=_R_DROP,
        text="It improves models that are trained from scratch: classifiers, translation, "
        "summaries and images.",
        published="WMT 2014 En–De 29.12 → 30.91 BLEU; IWSLT 2014 De–En 34.64 → 37.25 BLEU; "
        "CIFAR-100, ViT-B: 92.64 → 93.29 %",
        certainty=_QUOTED,
        evidence=(
            *_runs("test_bleu", "r-drop", ("multi30k", DROPOUT), ("multi30k", CONTROL)),
            *_runs("test_accuracy", "r-drop", ("sst2", DROPOUT), ("sst2", CONTROL)),
            *_runs("test_matthews", "r-drop", ("cola", DROPOUT), ("cola", CONTROL)),
            *_runs("test_accuracy", "r-drop", ("digits", DROPOUT), ("digits", CONTROL)),
        ),
        beyond="the published sets and sizes: `dropsmith recipes` lists them with `--preset paper`",
    ),
    Claim(
        paper=_LR_DROP,
        text="Agreement of hidden states and attention, layer by layer, improves on agreement of "
        "outputs alone.",
        published="eight sets of language understanding, six of translation, one of summaries",
        certainty="no number could be read",
        evidence=(
            *_runs("test_matthews", "lr-drop", ("cola-minilm-updates", "r-drop")),
            *_runs("test_matthews", "lr-drop", ("cola-minilm-views", "r-drop")),
            *_runs("test_accuracy", "lr-drop", ("sst2-500-minilm-updates", "r-drop")),
            *_runs("test_accuracy", "lr-drop", ("sst2-500-minilm-views", "r-drop")),
            *_runs("test_matthews", "lr-drop", ("cola", "r-drop")),
            *_runs("test_accuracy", "lr-drop", ("sst2", "r-drop")),
            *_runs("test_bleu", "lr-drop", ("multi30k", "r-drop")),
        ),
        beyond="the paper's tables and coefficients, which could not be read",
    ),
)
