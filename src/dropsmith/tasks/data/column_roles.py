"""The part that each column of a table plays: label, identifier, text, number or category."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from dropsmith.errors import DataError, did_you_mean, excerpt
from dropsmith.tasks.data.column_profile import Profile
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.number_forms import DecimalSign
from dropsmith.tasks.data.tables import row_place, shown

InputKind = Literal["text", "numbers", "mixed"]

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


def check_names_set(table: Path, columns: Mapping[str, Profile], options: DataOptions) -> None:
    """Raise `DataError` if a column that options name is not in the table."""
    named = (*options.text_columns, *options.feature_columns)
    for name in (*named, options.label_column, options.id_column):
        if name is not None and name not in columns:
            raise DataError(
                f"no column {name[:60]!r} in {table}\n  its columns are: {shown([*columns])}"
                + did_you_mean(name, columns)
            )


def usual_label(table: Path, columns: Mapping[str, Profile]) -> str:
    """The column with the usual name of a label.

    Raises:
        DataError: there is none, or several.
    """
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


def usual_id(columns: Mapping[str, Profile], label: str) -> str | None:
    """A column with the name of an id, or one that ends so and has no value twice."""
    for name, profile in columns.items():
        lower = name.lower()
        is_id = lower in _IDS or name == ""
        if not is_id and (name.endswith("Id") or lower.endswith(("_id", " id"))):
            is_id = profile.is_unique
        if is_id and name != label and profile.rows:
            return name
    return None


def input_columns(
    table: Path,
    columns: Mapping[str, Profile],
    options: DataOptions,
    wanted: InputKind | None,
    decimal: DecimalSign,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of texts, and those of numbers and categories.

    Args:
        table: the file, for messages.
        columns: the profiles of those that may be inputs.
        options: what is set by the user.
        wanted: what the model reads, where the task says so.
        decimal: the sign before the decimals of numbers.

    Raises:
        DataError: it is not clear which they are.
    """
    for name in options.feature_columns:
        _check_feature(table, name, columns[name], decimal)
    texts, features = options.text_columns, options.feature_columns
    if wanted == "numbers":
        others = {name: p for name, p in columns.items() if name not in texts}
        return texts, features or _features(table, others, decimal)
    if texts or (features and wanted is None):
        return texts, features
    others = {name: p for name, p in columns.items() if name not in features}
    names = _text_columns(table, others, wanted, decimal)
    return (names, features) if names else ((), _features(table, columns, decimal))


def _features(table: Path, columns: Mapping[str, Profile], decimal: DecimalSign) -> tuple[str, ...]:
    """All columns of numbers and categories; `DataError` where there are none."""
    if features := columns_of_kinds(columns, decimal, "number", "category"):
        return features
    raise DataError(
        f"no column of {table} holds numbers or categories\n  its columns are: {shown([*columns])}"
    )


def _text_columns(
    table: Path, columns: Mapping[str, Profile], wanted: InputKind | None, decimal: DecimalSign
) -> tuple[str, ...]:
    """The columns of texts; none where the table is one of numbers and categories.

    Raises:
        DataError: it is not clear which they are.
    """
    texts, usual = columns_of_kinds(columns, decimal, "text"), _usual_texts(columns)
    features = columns_of_kinds(columns, decimal, "number", "category")
    if not usual and not texts and features and wanted is None:
        return ()
    if len(usual) == 1 or usual in _pairs_of(columns):
        return usual
    candidates = usual or texts or columns_of_kinds(columns, decimal, "identifier")
    if len(candidates) == 1 and (wanted == "text" or not features):
        return candidates
    raise DataError(_question(table, candidates, features, wanted))


def columns_of_kinds(
    columns: Mapping[str, Profile], decimal: DecimalSign, *kinds: str
) -> tuple[str, ...]:
    """The columns of these kinds; one whose cells are numbers in any form is one of numbers."""
    return tuple(
        name
        for name, profile in columns.items()
        if ("number" if profile.is_numeric else profile.kind(decimal)) in kinds
    )


def _check_feature(table: Path, name: str, profile: Profile, decimal: DecimalSign) -> None:
    """Refuse a column of numbers in which a few cells are something else."""
    stranger = profile.forms.stranger
    is_read = profile.is_numeric or profile.kind(decimal) in ("number", "category", "empty")
    if is_read or stranger is None or 2 * profile.forms.total < profile.rows:
        return
    line, cell = stranger
    raise DataError(
        f"the column {name!r} holds numbers, and {excerpt(cell)} at {row_place(table, line)}\n"
        "  correct it, or leave the cell empty where the number is not known"
    )


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
    return {n.lower(): n for n, p in columns.items() if not p.is_numeric and p.rows}


def _question(
    table: Path, texts: Sequence[str], features: Sequence[str], wanted: InputKind | None
) -> str:
    lines = [f"it is not clear which columns of {table} a model should read; say it:"]
    of_texts = " ".join(f"--text-column {_typed(name)}" for name in texts[:2])
    of_features = f"--feature-columns {_typed(','.join(features))}"
    if texts:
        lines.append(f"  the texts in {shown(texts)}: {of_texts}")
    if features and wanted is None:
        lines.append(f"  the numbers and categories in {shown(features)}: {of_features}")
    if texts and features and wanted is None:
        lines.append(f"  both: {of_texts} {of_features}")
    if not texts and not features:
        lines[0] = f"no column of {table} beside the label holds texts, numbers or categories"
    return "\n".join(lines)


def _typed(name: str) -> str:
    return name if name.replace("_", "a").replace(",", "a").isalnum() else repr(name)
