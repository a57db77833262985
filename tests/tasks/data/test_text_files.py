"""Texts are read whole, or refused in a sentence, and never further than bounds allow."""

import gzip
import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.errors import DataError
from dropsmith.tasks import Bounds
from dropsmith.tasks.data.text_files import read_text, text_lines

TEXT = "one\ntwo, é\r\nthree\rfour\n\nlast"


def written(path, data):
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture(params=["a.txt", "a.txt.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


def read_by_lines(path, bounds):
    return "".join(text_lines(path, bounds))


READERS = (read_text, read_by_lines)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_is_read_letter_by_letter_without_its_mark(path, reader, mark):
    assert reader(written(path, mark + TEXT.encode()), Bounds()) == TEXT


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="a\r\n\x0b\x85\u2028é", max_size=12))
def test_lines_end_where_python_ends_them(tmp_path_factory, text):
    path = written(tmp_path_factory.mktemp("lines") / "a.txt", text.encode())
    with path.open(encoding="utf-8", newline="") as file:
        assert list(text_lines(path)) == list(file)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text\n".encode("utf-16-le"), r"line 1 of .* has a byte 0[\s\S]*--encoding utf-16-le"),
        (b"one\ntw\x00o\n", "line 2 of .* has a byte 0"),
        (b"one\ntwo\nthr\xffee\n", r"line 3 of .* is not in UTF-8[\s\S]*--encoding cp1252"),
    ],
)
def test_what_is_no_text_in_utf_8_is_named_with_its_line(path, reader, data, message):
    with pytest.raises(DataError, match=message):
        reader(written(path, data), Bounds())


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-32-le"])
def test_the_mark_at_the_begin_of_a_text_says_its_encoding(path, reader, encoding):
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    assert reader(written(path, (mark + TEXT).encode(encoding)), Bounds()) == TEXT


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "latin-1", "utf-8-sig", "gb18030"])
def test_an_encoding_that_is_given_is_used(path, encoding):
    written(path, TEXT.encode(encoding))
    assert read_text(path, encoding=encoding) == TEXT
    assert "".join(text_lines(path, encoding=encoding)) == TEXT


def test_another_encoding_than_the_given_one_is_refused_by_its_line(path):
    written(path, b"one\ntw\x81o\n")
    with pytest.raises(DataError, match=r"is not in cp1252, after line 0[\s\S]*--encoding"):
        list(text_lines(path, encoding="cp1252"))
    written(path, TEXT.encode("utf-16"))
    with pytest.raises(DataError, match="begins with the mark of UTF-16-LE, and cp1252 was given"):
        list(text_lines(path, encoding="cp1252"))


def test_lines_in_other_encodings_are_bounded_too(path):
    written(path, ("x" * 100 + "\n").encode("utf-16"))
    assert len(list(text_lines(path, Bounds(row_bytes=101)))) == 1
    with pytest.raises(DataError, match=r"line 1 of .* more than 100 bytes"):
        list(text_lines(path, Bounds(row_bytes=100)))


ZIPPED = gzip.compress(TEXT.encode() * 50, mtime=0)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "^$"),
        (ZIPPED[:-12], "is cut off"),
        (ZIPPED[:5], "is cut off"),
        (ZIPPED[:30] + b"\x00\xff" * 20 + ZIPPED[70:], r"cannot read .*\n  "),
        (ZIPPED[:-8] + b"\x00" * 8, r"cannot read .*\n  CRC"),
        (ZIPPED + b"garbage", r"cannot read .*\n  Not a gzipped file"),
        (b"not gzip", r"cannot read .*\n  Not a gzipped file"),
    ],
)
def test_a_damaged_archive_is_one_sentence(tmp_path, reader, data, message):
    (tmp_path / "a.txt.gz").write_bytes(data)
    if message == "^$":  # an archive of nothing is an empty text
        assert reader(tmp_path / "a.txt.gz", Bounds()) == ""
        return
    with pytest.raises(DataError, match=message) as raised:
        reader(tmp_path / "a.txt.gz", Bounds())
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("reader", READERS)
def test_an_archive_without_its_ending_is_told_how_to_call_it(tmp_path, reader):
    (tmp_path / "a.txt").write_bytes(ZIPPED)
    with pytest.raises(DataError, match=r"is gzipped\n  name it so: a\.txt\.gz"):
        reader(tmp_path / "a.txt", Bounds())


@pytest.mark.parametrize("reader", READERS)
def test_reading_stops_at_the_bound(path, reader):
    assert reader(written(path, b"x" * 100), Bounds(bytes=100)) == "x" * 100
    with pytest.raises(DataError, match=r"more than 99 bytes, [\s\S]*--bound bytes=198"):
        reader(path, Bounds(bytes=99))


@pytest.mark.parametrize("reader", READERS)
def test_an_archive_of_zeros_does_not_fill_the_memory(tmp_path, reader):
    path = written(tmp_path / "a.gz", bytes(2**25))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more than 1,000,000 bytes"):
            reader(path, Bounds(bytes=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_lines_of_a_whole_text_are_bounded(path):
    assert read_text(written(path, b"\n" * 5), Bounds(rows=5)) == "\n" * 5
    with pytest.raises(DataError, match=r"more than 4 rows[\s\S]*--bound rows=8"):
        read_text(path, Bounds(rows=4))


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_a_pipe_and_nothing_at_all_are_no_texts(tmp_path, reader):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("folder", "regular"), ("pipe", "regular"), ("gone", "cannot read")):
        with pytest.raises(DataError, match=message):
            reader(tmp_path / name, Bounds())
