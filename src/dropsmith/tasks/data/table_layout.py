"""The meaning of a table's columns, as it is found in the table or set by options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal

from dropsmith.errors import DataError, did_you_mean
from dropsmith.tasks.data.column_profile import Profile, profiles
from dropsmith.tasks.data.data_options import DataOptions, Kind
from dropsmith.tasks.data.label_kind import label_kind
from dropsmith.tasks.data.table_parts import file_states, first_table
from dropsmith.tasks.data.tables import shown, table_rows

InputKind = Literal["text", "numbers"]

LABELS = (
    *("label", "labels", "target", "class", "y", "category", "sentiment"),
    *("score", "rating", "stars", "outcome"),
)
"""Usual names of the column of labels, in lower case."""

TEXTS = (
    *("text", "sentence", "review", "comment", "content", "message", "body", "document"),
    *("tweet", "question", "utterance", "query", "headline", "description", "abstract", "title"),
)
"""Usual names of a column of texts; the first is taken whatever others there are."""

PAIRS = (
    *(("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2")),
    *(("text1", "text2"), ("text_a", "text_b"), ("sentence_a", "sentence_b")),
    *(("question", "sentence"), ("question", "answer"), ("question", "context")),
    *(("query", "document"), ("query", "passage"), ("claim", "evidence")),
)
"""Usual names of the two columns of pairs of texts."""

_IDS = ("id", "idx", "index", "guid", "uuid", "key", "row_id", "rowid", "unnamed: 0")

_PROFILED = 10_000
"""Rows that the kinds of columns are found in."""


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """The meaning of a table's columns.

    Args:
        inputs: what the model reads: texts, or numbers and categories.
        columns: of the inputs.
        label: the column of labels.
        kind: whether labels are classes or values.
        id_column: the column that names the rows, or None.
        unused: columns that no model reads.
    """

    inputs: InputKind
    columns: tuple[str, ...]
    label: str
    kind: Kind
    id_column: str | None
    unused: tuple[str, ...]


def find_layout(path: Path, options: DataOptions, inputs: InputKind | None = None) -> TableLayout:
    """The meaning of the columns of a table, or of those in a folder.

    Kinds of columns are found in the first rows of training, that of labels in all of them.

    Args:
        path: of the table or the folder.
        options: what is set by the user.
        inputs: what the model reads, where the task says so.

    Raises:
        DataError: it cannot be told which column is what; the message says what to type.
    """
    return _find(path.resolve(), options, inputs, file_states(path))


@lru_cache(maxsize=16)
def _find(path: Path, options: DataOptions, inputs: InputKind | None, times: object) -> TableLayout:
    table = first_table(path)
    rows = table_rows(table, options.bounds, delimiter=options.delimiter, encoding=options.encoding)
    columns = profiles(row for _, row in islice(rows, _PROFILED))
    if not columns:
        raise DataError(f"no rows in {table}")
    _check_set(table, columns, options)
    label = options.label_column or _usual_label(table, columns)
    kind = options.kind or label_kind(path, label, options)
    identifier = options.id_column or _usual_id(columns, label)
    free = {n: p for n, p in columns.items() if n and n not in (label, identifier)}
    found, names = _inputs(table, free, options, inputs, label)
    return TableLayout(
        inputs=found,
        columns=names,
        label=label,
        kind=kind,
        id_column=identifier,
        unused=tuple(name for name in free if name not in names),
    )


def _check_set(table: Path, columns: Mapping[str, Profile], options: DataOptions) -> None:
    named = (*options.text_columns, *options.feature_columns)
    for name in (*named, options.label_column, options.id_column):
        if name is not None and name not in columns:
            raise DataError(
                f"no column {name[:60]!r} in {table}\n  its columns are: {shown([*columns])}"
                + did_you_mean(name, columns)
            )


def _usual_label(table: Path, columns: Mapping[str, Profile]) -> str:
    by_name = {name.lower(): name for name in columns}
    usual = [by_name[name] for name in LABELS if name in by_name]
    if len(usual) == 1 or usual[:1] in (["label"], ["Label"], ["LABEL"]):
        return usual[0]
    if usual:
        raise DataError(
            f"several columns of {table} could be the label: {shown(usual)}\n"
            f"  say which it is, such as --label-column {_typed(usual[0])}"
        )
    raise DataError(
        f"no column of {table} has a usual name of a label: {', '.join(LABELS[:5])} or the like\n"
        f"  its columns are: {shown([*columns])}\n"
        f"  say which it is, such as --label-column {_typed([*columns][-1])}"
    )


def _usual_id(columns: Mapping[str, Profile], label: str) -> str | None:
    """A column with the name of an id, or one that ends so and has no value twice."""
    for name, profile in columns.items():
        lower = name.lower()
        is_id = lower in _IDS or name == ""
        if not is_id and (name.endswith("Id") or lower.endswith(("_id", " id"))):
            is_id = profile.is_unique
        if is_id and name != label and profile.rows:
            return name
    return None


def _inputs(
    table: Path,
    columns: Mapping[str, Profile],
    options: DataOptions,
    wanted: InputKind | None,
    label: str,
) -> tuple[InputKind, tuple[str, ...]]:
    if options.text_columns:
        return "text", options.text_columns
    if options.feature_columns:
        return "numbers", options.feature_columns
    features = [n for n, p in columns.items() if p.kind in ("number", "category")]
    texts = [n for n, p in columns.items() if p.kind == "text"]
    others = [n for n, p in columns.items() if p.kind == "identifier"]
    usual = _usual_texts(columns)
    if wanted == "numbers" or (not usual and not texts and features and wanted is None):
        if not features:
            raise DataError(
                f"no column of {table} holds numbers or categories\n"
                f"  its columns are: {shown([*columns])}"
            )
        return "numbers", tuple(features)
    if len(usual) == 1 or usual in _pairs_of(columns):
        return "text", usual
    candidates = usual or texts or others
    if len(candidates) == 1 and (wanted == "text" or not features):
        return "text", tuple(candidates)
    raise DataError(_question(table, candidates, features, wanted))


def _usual_texts(columns: Mapping[str, Profile]) -> tuple[str, ...]:
    """The columns with usual names of texts: a pair, or the first, or all where it is not clear."""
    if pairs := _pairs_of(columns):
        return pairs[0]
    by_name = _texts_by_name(columns)
    names = [by_name[name] for name in TEXTS if name in by_name]
    return tuple(names[:1] if TEXTS[0] in by_name else names)


def _pairs_of(columns: Mapping[str, Profile]) -> list[tuple[str, ...]]:
    by_name = _texts_by_name(columns)
    return [tuple(by_name[n] for n in pair) for pair in PAIRS if all(n in by_name for n in pair)]


def _texts_by_name(columns: Mapping[str, Profile]) -> dict[str, str]:
    return {n.lower(): n for n, p in columns.items() if p.kind not in ("number", "empty")}


def _question(
    table: Path, texts: Sequence[str], features: Sequence[str], wanted: InputKind | None
) -> str:
    lines = [f"it is not clear which columns of {table} a model should read; say it:"]
    if texts:
        typed = " ".join(f"--text-column {_typed(name)}" for name in texts[:2])
        lines.append(f"  the texts in {shown(texts)}: {typed}")
    if features and wanted is None:
        typed = _typed(",".join(features))
        lines.append(
            f"  the numbers and categories in {shown(features)}: --feature-columns {typed}"
        )
    if not texts and not features:
        lines[0] = f"no column of {table} beside the label holds texts, numbers or categories"
    return "\n".join(lines)


def _typed(name: str) -> str:
    return name if name.replace("_", "a").replace(",", "a").isalnum() else repr(name)
