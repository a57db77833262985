"""The tasks by their names, and tasks on a path to data of the user."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from dropsmith.errors import DataError, TaskError, did_you_mean, excerpt
from dropsmith.instances import check_type, checked_path
from dropsmith.tasks.captions.caption_task import (
    CAPTIONS,
    COCO_CAPTIONS,
    FLICKR8K,
    FLICKR8K_ATTENTION,
)
from dropsmith.tasks.captions.own_captions import holds_captions
from dropsmith.tasks.data.column_roles import InputKind
from dropsmith.tasks.data.data_options import FLAGS, NO_OPTIONS, OWN_TABLE, DataOptions
from dropsmith.tasks.data.table_layout import find_layout
from dropsmith.tasks.data.table_parts import holds_tables
from dropsmith.tasks.images.cifar10 import CIFAR10, CIFAR10_VIT
from dropsmith.tasks.images.cifar10_wrn import (
    CIFAR10_WRN,
    CIFAR10_WRN_AUGMENTED,
    CIFAR10_WRN_RANDAUGMENT,
)
from dropsmith.tasks.images.cifar100 import CIFAR100
from dropsmith.tasks.images.digits import DIGITS
from dropsmith.tasks.images.image_folder import IMAGES
from dropsmith.tasks.images.imagenet import IMAGENET, IMAGENET_64
from dropsmith.tasks.language.causal import WIKITEXT2_TRANSFORMER, WIKITEXT103
from dropsmith.tasks.language.python_docs import PYTHON_DOCS
from dropsmith.tasks.language.recurrent import PENN_TREEBANK, WIKITEXT2
from dropsmith.tasks.language.transformer_xl import PENN_TREEBANK_XL, WIKITEXT2_XL
from dropsmith.tasks.mixed.mixed_task import MixedTask
from dropsmith.tasks.numbers.numbers_task import NUMBERS
from dropsmith.tasks.seq2seq.summarisation import CNN_DAILYMAIL, SAMSUM, SCITLDR
from dropsmith.tasks.seq2seq.translation import IWSLT14, IWSLT2017, MULTI30K, WMT14
from dropsmith.tasks.task import Task
from dropsmith.tasks.text.sentences import (
    COLA,
    MNLI,
    MRPC,
    QNLI,
    QQP,
    RT_POLARITY,
    RTE,
    SST2,
    STSB,
    TEXT,
    WNLI,
)
from dropsmith.tasks.text.sentiment_scale import SENTIMENT_SCALE, SENTIMENT_SCALE_GRU
from dropsmith.tasks.user_task import user_task
from dropsmith.user_code import is_reference

TASKS: dict[str, Task] = {
    "digits": DIGITS,
    "python-docs": PYTHON_DOCS,
    "penn-treebank": PENN_TREEBANK,
    "penn-treebank-xl": PENN_TREEBANK_XL,
    "wikitext2": WIKITEXT2,
    "wikitext2-transformer": WIKITEXT2_TRANSFORMER,
    "wikitext2-xl": WIKITEXT2_XL,
    "wikitext103": WIKITEXT103,
    "cifar10": CIFAR10,
    "cifar10-vit": CIFAR10_VIT,
    "cifar10-wrn": CIFAR10_WRN,
    "cifar10-wrn-augmented": CIFAR10_WRN_AUGMENTED,
    "cifar10-wrn-randaugment": CIFAR10_WRN_RANDAUGMENT,
    "cifar100": CIFAR100,
    "imagenet": IMAGENET,
    "imagenet-64": IMAGENET_64,
    "sst2": SST2,
    "rt_polarity": RT_POLARITY,
    "cola": COLA,
    "mrpc": MRPC,
    "rte": RTE,
    "qnli": QNLI,
    "qqp": QQP,
    "mnli": MNLI,
    "wnli": WNLI,
    "stsb": STSB,
    "sentiment-scale": SENTIMENT_SCALE,
    "sentiment-scale-gru": SENTIMENT_SCALE_GRU,
    "multi30k": MULTI30K,
    "iwslt2017": IWSLT2017,
    **{task.name: task for task in (*IWSLT14, *WMT14)},
    "samsum": SAMSUM,
    "scitldr": SCITLDR,
    "cnn-dailymail": CNN_DAILYMAIL,
    "flickr8k": FLICKR8K,
    "flickr8k-attention": FLICKR8K_ATTENTION,
    "coco-captions": COCO_CAPTIONS,
    "captions": CAPTIONS,
    "images": IMAGES,
    "text": TEXT,
    "numbers": NUMBERS,
}


def plain_name(task: str) -> str:
    """The name of a task in records: its own, or the last part of a path, however that is spelled.

    A path whose last part is the name of a task gets another, so that records tell them apart.

    >>> plain_name("digits"), plain_name("../pictures/cats/"), plain_name("../pictures/digits")
    ('digits', 'cats', 'digits-folder')
    """
    if task in TASKS or is_reference(task):
        return task
    name = Path(task).resolve().name
    is_taken = name in TASKS or is_reference(name)
    return f"{name.replace(':', '-')}-folder" if is_taken else name


def find_task(
    name: str, data: str | Path | None = None, data_options: DataOptions = NO_OPTIONS
) -> Task:
    """The task of a name, or one on a folder of pictures or a table of texts at a path.

    >>> find_task("digits").noises
    ('dropout', 'spatial', 'blocks', 'gaussian')

    Args:
        name: one of `TASKS`; `module:name` of a task of your own; or a path: a folder with a
            subfolder of pictures for each class, a folder of pictures with a table
            `captions.csv`, a table of texts and labels, or a folder of such tables.
        data: the folder or file that the task will read, to say at once where it does not exist.
        data_options: how the data is read.

    Raises:
        TaskError: there is no such task and no such path, or the task does not take an option.
        DataError: a path does not exist or holds neither pictures nor tables.
    """
    check_type("data_options", data_options, DataOptions, "a DataOptions")
    path = checked_path("task", name)
    if data is not None and not checked_path("data", data).exists():
        raise DataError(f"no file or folder {data}\n  it was given as the data of {name}")
    if name in TASKS:
        task = TASKS[name]
        if task in (TEXT, NUMBERS) and data is not None:
            inputs = "text" if task is TEXT else "numbers"
            return table_task(name, Path(data), None, data_options, inputs)
        return _with_options(task, data_options)
    if is_reference(name) and not path.exists():
        task = user_task(name, data_options)
        _check_options(name, task.option_names, data_options)
        return task
    if holds_captions(path, data_options.bounds):
        return _with_options(replace(CAPTIONS, name=name, home=path), data_options)
    if holds_tables(path):
        return table_task(name, path if data is None else Path(data), path, data_options)
    if path.is_dir():
        return _with_options(replace(IMAGES, name=name, home=path), data_options)
    raise TaskError(
        f"no task is called {excerpt(name)}, and no file or folder is there\n"
        f"  tasks: {', '.join(TASKS)}; or module:name, for a task of your own"
        + did_you_mean(name, TASKS)
    )


def table_task(
    name: str,
    path: Path,
    home: Path | None,
    options: DataOptions,
    inputs: InputKind | None = None,
) -> Task:
    """The task of a user's own table, or of a folder of tables, as its columns are found.

    Args:
        name: of the task.
        path: of the table or folder.
        home: what the task reads where it is given no data.
        options: what is set by the user.
        inputs: what the model reads, where the name of the task says so.

    Raises:
        DataError: it cannot be told which column is what.
        TaskError: an option is not one of tables.
    """
    _check_options(name, OWN_TABLE, options)
    layout = find_layout(path, options, inputs)
    if layout.inputs == "numbers":
        return replace(NUMBERS, name=name, home=home, kind=layout.kind, data_options=options)
    if layout.inputs == "mixed":
        return MixedTask(
            name=name, home=home, kind=layout.kind, inputs=inputs, data_options=options
        )
    source = replace(
        TEXT.source,
        columns=layout.columns,
        label=layout.label,
        id_column=layout.id_column,
        layout=layout,
        kind=layout.kind,
    )
    return replace(
        TEXT, name=name, home=home, source=source, kind=layout.kind, data_options=options
    )


def _with_options(task: Task, data_options: DataOptions) -> Task:
    _check_options(task.name, task.option_names, data_options)
    if task.data_options == data_options:
        return task
    # Every task of the catalogue is a dataclass, which its base is not.
    return cast(Task, replace(cast(Any, task), data_options=data_options))


def _check_options(task: str, names: tuple[str, ...], data_options: DataOptions) -> None:
    unused = [name for name in data_options.changed() if name not in names]
    if unused:
        options = ", ".join(FLAGS[name] for name in names) or "none"
        raise TaskError(
            f"the task {task} does not take {FLAGS[unused[0]]}\n"
            f"  of the options of data it takes: {options}"
        )
