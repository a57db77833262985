"""Data, a small model, a loss and scores: what a method is tried on."""

from dropsmith.tasks import learning_rates, optimisers
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.captions.part import Captions
from dropsmith.tasks.catalogue import TASKS, find_task, plain_name
from dropsmith.tasks.custom_model import CustomModelTask, with_model
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.length_groups import group_by_length
from dropsmith.tasks.data.part import Batch, Part, Split
from dropsmith.tasks.data.partly_labelled import PartlyLabelled
from dropsmith.tasks.data.preprocessing import Inputs, Preprocessing
from dropsmith.tasks.data.selection import NO_LIMIT
from dropsmith.tasks.data.tables import json_rows
from dropsmith.tasks.description import data_facts, describe
from dropsmith.tasks.generation import GenerationScores
from dropsmith.tasks.images import augmentation
from dropsmith.tasks.images.augmented_images import AugmentedImages
from dropsmith.tasks.images.image_task import ImageTask
from dropsmith.tasks.language.python_docs import PythonDocsTask
from dropsmith.tasks.language.recurrent import LanguageTask
from dropsmith.tasks.language.source import LanguageSource
from dropsmith.tasks.language.stream import Stream, in_windows, scored_in_windows
from dropsmith.tasks.meters import Meter, class_meters, value_meters
from dropsmith.tasks.model_function import build_model, call_model_function, import_function
from dropsmith.tasks.model_hash import model_hash
from dropsmith.tasks.seq2seq.seq2seq_task import MAX_TEXT_TOKENS, Seq2SeqTask, TextPairs
from dropsmith.tasks.seq2seq.sequences import Sequences
from dropsmith.tasks.stored_preprocessing import preprocessing_from_json
from dropsmith.tasks.task import Data, Kind, Task, device_of
from dropsmith.tasks.text.sentiment_scale import SentimentTask
from dropsmith.tasks.text.source import TextSource
from dropsmith.tasks.text.text_task import TextTask
from dropsmith.tasks.text.token_preprocessing import TOKENISER_FILES
from dropsmith.tasks.unlabelled import with_unlabelled

__all__ = [
    "MAX_TEXT_TOKENS",
    "NO_LIMIT",
    "NO_OPTIONS",
    "TASKS",
    "TOKENISER_FILES",
    "USUAL",
    "AugmentedImages",
    "Batch",
    "Bounds",
    "Budget",
    "Captions",
    "CustomModelTask",
    "Data",
    "DataOptions",
    "GenerationScores",
    "ImageTask",
    "Inputs",
    "Kind",
    "LanguageSource",
    "LanguageTask",
    "Meter",
    "Part",
    "PartlyLabelled",
    "Preprocessing",
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
    "augmentation",
    "build_model",
    "cached_by_files",
    "call_model_function",
    "class_meters",
    "data_facts",
    "describe",
    "device_of",
    "find_task",
    "group_by_length",
    "import_function",
    "in_windows",
    "json_rows",
    "learning_rates",
    "model_hash",
    "optimisers",
    "plain_name",
    "preprocessing_from_json",
    "scored_in_windows",
    "value_meters",
    "with_model",
    "with_unlabelled",
]
