"""The tasks of sentences and of sentence pairs, most of them of GLUE (Wang et al., 2019)."""

from dropsmith.tasks.budget import Budget
from dropsmith.tasks.text.source import TextSource
from dropsmith.tasks.text.text_task import TextTask

_SENTENCE_BUDGET = Budget(epochs=8, batch_size=64, learning_rate=1e-3, weight_decay=0.01)
_POLARITY = (("0", "negative"), ("1", "positive"))


def _sentence_task(source: TextSource, *metrics: str) -> TextTask:
    return TextTask(name=source.name, source=source, budget=_SENTENCE_BUDGET, metrics=metrics)


SST2 = _sentence_task(
    TextSource(
        name="sst2",
        about="SST-2 film review sentences (Socher et al., 2013), as in GLUE",
        names=_POLARITY,
        hub=("stanfordnlp/sst2", None, "sentence"),
        limit=10_000,
    )
)
"""10,000 balanced training phrases; validation and test are whole sentences of other reviews."""

RT_POLARITY = _sentence_task(
    TextSource(
        name="rt_polarity",
        about="film review sentences (Pang & Lee, 2005), split by a hash where none is given",
        names=_POLARITY,
        hub=("cornell-movie-review-data/rotten_tomatoes", None, "text"),
    )
)

COLA = _sentence_task(
    TextSource(
        name="cola",
        about="CoLA, is a sentence acceptable English (Warstadt et al., 2019)",
        names=(("0", "unacceptable"), ("1", "acceptable")),
        hub=("nyu-mll/glue", "cola", "sentence"),
    ),
    "matthews",
)

TEXT = _sentence_task(TextSource(name="text", about="texts and labels", text=("text", "sentence")))
"""A user's own table, or folder of tables, with columns `text` and `label`."""


_PAIR_BUDGET = Budget(epochs=10, batch_size=32, learning_rate=5e-4, weight_decay=0.01)
_ENTAILMENT = (("0", "entailment"), ("1", "not_entailment"))


def _pair_task(source: TextSource, *metrics: str) -> TextTask:
    return TextTask(
        name=source.name, source=source, budget=_PAIR_BUDGET, metrics=metrics, kind=source.kind
    )


MRPC = _pair_task(
    TextSource(
        name="mrpc",
        about="MRPC, do two sentences of the news say the same (Dolan & Brockett, 2005)",
        text=("sentence1",),
        second="sentence2",
        names=(("0", "different"), ("1", "same")),
        hub=("nyu-mll/glue", "mrpc", "sentence1"),
    ),
    "f1",
)
"""The original split; GLUE's cuts its development pairs from the training ones."""

RTE = _pair_task(
    TextSource(
        name="rte",
        about="RTE, does a text entail a sentence (Dagan et al., 2006, and three more)",
        text=("sentence1",),
        second="sentence2",
        names=_ENTAILMENT,
        hub=("nyu-mll/glue", "rte", "sentence1"),
    )
)

QQP = _pair_task(
    TextSource(
        name="qqp",
        about="QQP, do two questions on Quora ask the same (GLUE)",
        text=("question1",),
        second="question2",
        names=(("0", "different"), ("1", "same")),
        hub=("nyu-mll/glue", "qqp", "question1"),
    ),
    "f1",
)

MNLI = _pair_task(
    TextSource(
        name="mnli",
        about="MNLI, does a text entail a sentence or contradict it (Williams et al., 2018)",
        text=("premise",),
        second="hypothesis",
        names=(("0", "entailment"), ("1", "neutral"), ("2", "contradiction")),
        hub=("nyu-mll/glue", "mnli", "premise"),
    )
)
"""The matched development pairs are the test."""

QNLI = _pair_task(
    TextSource(
        name="qnli",
        about="QNLI, does a sentence answer a question (Rajpurkar et al., 2016; GLUE)",
        text=("question",),
        second="sentence",
        names=_ENTAILMENT,
        hub=("nyu-mll/glue", "qnli", "question"),
    )
)
"""A folder with the development pairs alone is divided so that no sentence is in two parts."""

WNLI = _pair_task(
    TextSource(
        name="wnli",
        about="WNLI, is a pronoun read rightly (Levesque et al., 2012; GLUE)",
        text=("sentence1",),
        second="sentence2",
        names=(("0", "not_entailment"), ("1", "entailment")),
        hub=("nyu-mll/glue", "wnli", "sentence1"),
    )
)
"""Sentences held out are those of training with other answers: what was learnt by heart harms."""

STSB = _pair_task(
    TextSource(
        name="stsb",
        about="STS-B, how similar are two sentences, 0 to 5 (Cer et al., 2017)",
        text=("sentence1",),
        second="sentence2",
        label="score",
        kind="regression",
        hub=("nyu-mll/glue", "stsb", "sentence1"),
    ),
    "pearson",
    "spearman",
)
