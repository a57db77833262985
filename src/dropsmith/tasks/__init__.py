"""Data, a small model, a loss and scores: what a method is tried on."""

from dropsmith.tasks import learning_rates, optimisers
from dropsmith.tasks._budget import Budget
from dropsmith.tasks._part import Batch, Part, Split
from dropsmith.tasks._split import EVERY
from dropsmith.tasks._task import Data, Task, device_of
from dropsmith.tasks.find import TASKS, find_task, plain_name
from dropsmith.tasks.images import ImageTask
from dropsmith.tasks.language import LanguageSource, LanguageTask
from dropsmith.tasks.own_model import OwnModelTask, with_model
from dropsmith.tasks.python_docs import PythonDocsTask
from dropsmith.tasks.sentiment_scale import SentimentTask
from dropsmith.tasks.seq2seq import Seq2SeqTask, TextPairs
from dropsmith.tasks.sequences import Sequences
from dropsmith.tasks.stream import Stream
from dropsmith.tasks.texts import TextSource, TextTask
from dropsmith.tasks.written import Written

__all__ = [
    "EVERY",
    "TASKS",
    "Batch",
    "Budget",
    "Data",
    "ImageTask",
    "LanguageSource",
    "LanguageTask",
    "OwnModelTask",
    "Part",
    "PythonDocsTask",
    "SentimentTask",
    "Seq2SeqTask",
    "Sequences",
    "Split",
    "Stream",
    "Task",
    "TextPairs",
    "TextSource",
    "TextTask",
    "Written",
    "device_of",
    "find_task",
    "learning_rates",
    "optimisers",
    "plain_name",
    "with_model",
]
