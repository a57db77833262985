"""The tasks of sentence pairs by name, most of them of GLUE (Wang et al., 2019)."""

from dropsmith.tasks._budget import Budget
from dropsmith.tasks.texts import TextSource, TextTask

_BUDGET = Budget(epochs=10, batch_size=32, learning_rate=5e-4, weight_decay=0.01)
_ENTAILMENT = (("0", "entailment"), ("1", "not_entailment"))


def _task(source: TextSource, *metrics: str) -> TextTask:
    return TextTask(
        name=source.name, source=source, budget=_BUDGET, metrics=metrics, kind=source.kind
    )


MRPC = _task(
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

RTE = _task(
    TextSource(
        name="rte",
        about="RTE, does a text entail a sentence (Dagan et al., 2006, and three more)",
        text=("sentence1",),
        second="sentence2",
        names=_ENTAILMENT,
        hub=("nyu-mll/glue", "rte", "sentence1"),
    )
)

QQP = _task(
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

MNLI = _task(
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

QNLI = _task(
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

WNLI = _task(
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

STSB = _task(
    TextSource(
        name="stsb",
        about="STS-B, how similar are two sentences, 0 to 5 (Cer et al., 2017)",
        text=("sentence1",),
        second="sentence2",
        label="score",
        kind="values",
        hub=("nyu-mll/glue", "stsb", "sentence1"),
    ),
    "pearson",
    "spearman",
)
