"""Tables of every kind that are broken at random end in one of our errors, or are read."""

import gzip
import json
import random

import pytest

from dropsmith.errors import DropsmithError
from dropsmith.tasks import TextSource
from dropsmith.tasks.language.recurrent import PENN_TREEBANK
from dropsmith.tasks.seq2seq.summarisation import read_samsum, read_scitldr
from dropsmith.tasks.seq2seq.translation import Iwslt14
from dropsmith.tasks.text import sentiment_scale
from faults.mutate import mutate_bytes, mutate_json

COUNT = 150

ROWS = [{"text": f'text "{i}", {i % 7}', "label": i % 2, "rating": i / 40} for i in range(40)]
PAIRS = [
    {"dialogue": [f"a {i}", "b"], "summary": f"c {i}", "source": "a", "target": "b"}
    for i in range(20)
]


def rows_of(part):
    return [row | {"text": f"{part} {row['text']}"} for row in ROWS]


def csv_text(separator):
    def cell(value):
        return '"{}"'.format(value.replace('"', '""')) if isinstance(value, str) else str(value)

    head = separator.join(ROWS[0])
    return "\n".join([head, *(separator.join(map(cell, row.values())) for row in ROWS), ""])


def json_lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def texts(kind):
    def read(folder):
        label = "label" if kind == "classification" else "rating"
        source = TextSource(name="t", about="t", text=("text",), kind=kind, label=label)
        source.examples(folder, None)

    return read


def ratings(folder):
    sentiment_scale._read.cache_clear()  # a file is read once per process
    sentiment_scale.read_sentiment_scale(folder)


LINES = "".join(f"some words {i}\n" for i in range(30))

# What is read, and the files that it reads; each is broken in its turn.
KINDS = {
    "csv": (texts("classification"), {"all.csv": csv_text(",")}),
    "tsv": (texts("classification"), {"all.tsv": csv_text("\t")}),
    "jsonl": (texts("classification"), {"all.jsonl": json_lines(ROWS)}),
    "csv.gz": (texts("classification"), {"all.csv.gz": csv_text(",")}),
    "parts": (
        texts("classification"),
        {f"{part}.jsonl": json_lines(rows_of(part)) for part in ("train", "dev", "test")},
    ),
    "values": (texts("regression"), {"all.csv": csv_text(",")}),
    "ratings": (ratings, {"scaledata.jsonl": json_lines(ROWS)}),
    "chats": (
        read_samsum,
        {f"{part}.jsonl": json_lines(PAIRS) for part in ("train", "validation", "test")},
    ),
    "abstracts": (
        read_scitldr,
        {f"{part}.jsonl.gz": json_lines(PAIRS) for part in ("train", "dev", "test")},
    ),
    "translations": (
        Iwslt14("de", "en"),
        {f"{part}.{end}": LINES for part in ("train", "valid", "test") for end in ("de", "en")},
    ),
    "running text": (
        PENN_TREEBANK.source.lines,
        {f"{part}.txt.gz": LINES for part in ("train", "valid", "test")},
    ),
}


def write(path, data):
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def message_of(read, folder):
    """What is said of files that cannot be read; errors that are not ours are raised."""
    message = None
    try:
        read(folder)
    except DropsmithError as error:
        message = str(error)
    assert message is None or len(message) < 2000
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_broken_bytes_end_in_an_error_of_ours_or_are_read(kind, tmp_path):
    read, files = KINDS[kind]
    random_generator = random.Random(f"tables {kind}")
    for name, text in files.items():
        write(tmp_path / name, text.encode())
    read(tmp_path)  # whole files are read
    refused = 0
    for _ in range(COUNT):
        name = random_generator.choice(sorted(files))
        whole = files[name].encode()
        if name.endswith(".gz") and random_generator.random() < 0.5:
            (tmp_path / name).write_bytes(mutate_bytes(gzip.compress(whole), random_generator))
        else:
            write(tmp_path / name, mutate_bytes(whole, random_generator))
        refused += message_of(read, tmp_path) is not None
        write(tmp_path / name, whole)
    assert refused


@pytest.mark.parametrize("kind", ["jsonl", "parts", "ratings", "chats", "abstracts"])
def test_rows_of_other_values_end_in_an_error_of_ours_or_are_read(kind, tmp_path):
    read, files = KINDS[kind]
    random_generator = random.Random(f"rows {kind}")
    for name, text in files.items():
        write(tmp_path / name, text.encode())
    for _ in range(COUNT):
        name = random_generator.choice(sorted(files))
        rows = [json.loads(line) for line in files[name].splitlines()]
        changed = mutate_json(rows, random_generator)
        changed = changed if isinstance(changed, list) else [changed]
        write(tmp_path / name, json_lines(changed).encode())
        message_of(read, tmp_path)
        write(tmp_path / name, files[name].encode())
