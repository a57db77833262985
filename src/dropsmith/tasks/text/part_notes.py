"""Notes of how a user's own tables are written and divided."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.data.table_layout import TableLayout
from dropsmith.tasks.data.tables import shown, table_delimiter, usual_delimiter
from dropsmith.tasks.data.text_files import text_encoding
from dropsmith.tasks.text.notes import Notes
from dropsmith.tasks.text.parts import Parts


def split_words(parts: Parts, tables: Mapping[str, Sequence[Path]], what: str) -> str:
    """The way in which `divide` divides parts, in words."""
    by_hash = f"by a hash of each {what}, so that equal {what}s are in one part"
    present = [part for part in PARTS if parts.get(part)]
    if "train" not in present or len(present) == 1:
        return by_hash
    named = "; ".join(
        f"{part} is {shown([table.name for table in tables[part]])}" for part in present
    )
    missing = [part for part in PARTS if part not in present]
    return f"{named}; {missing[0]} is cut from training {by_hash}" if missing else named


def format_note(table: Path, layout: TableLayout, options: DataOptions) -> Notes:
    """The form of a table of text, where it is not what the name of the file promises."""
    usual = usual_delimiter(table)
    read: dict[str, Any] = {"encoding": options.encoding}
    delimiter = table_delimiter(table, options.bounds, delimiter=options.delimiter, **read)
    said = []
    if delimiter != usual:
        said.append(f"{_DELIMITERS.get(delimiter or '', repr(delimiter))} between cells")
    if layout.decimal == ",":
        said.append("a comma before decimals (3,14)")
    if usual is not None:
        encoding = text_encoding(table, options.bounds, options.encoding)
        said += [f"encoding {encoding}"] if encoding != "utf-8" else []
    return (("format", "; ".join(said)),) if said else ()


_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}
