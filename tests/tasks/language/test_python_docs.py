import hashlib
import platform
import sys

import pytest
import torch

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import find_task
from dropsmith.tasks.language import python_docs


@pytest.fixture(scope="module")
def data():
    return find_task("python-docs").load()


def words(data, part):
    """The words of a part, in order, read back from its windows."""
    tokens = getattr(data, part).columns["tokens"].flatten()
    return [data.vocabulary[token] for token in tokens]


def test_labels_are_the_next_words_and_windows_follow_each_other(data):
    for part in (data.train, data.validation, data.test):
        tokens, labels = part.columns["tokens"], part.columns["labels"]
        assert tokens.shape[1] == 35
        assert torch.equal(tokens[:, 1:], labels[:, :-1])
        assert torch.equal(tokens[1:, 0], labels[:-1, -1])


def test_the_parts_are_about_eighty_ten_and_ten_in_a_hundred(data):
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    for size, share in zip(sizes, (0.8, 0.1, 0.1), strict=True):
        assert abs(size / sum(sizes) - share) < 0.01


def test_no_paragraph_is_in_two_parts(data):
    seen = {}
    for part in ("train", "validation", "test"):
        for paragraph in " ".join(words(data, part)).split(python_docs.END)[1:-1]:
            # Short ones can be equal after rare words are <unk>; long ones are the same text.
            if len(paragraph.split()) > 12 and "<unk>" not in paragraph:
                assert seen.setdefault(paragraph, part) == part


def test_the_vocabulary_knows_words_of_training_only(data):
    assert set(words(data, "train")) == set(data.vocabulary)
    assert "<unk>" in words(data, "test")
    assert data.classes == len(data.vocabulary) == len(set(data.vocabulary))


def test_the_source_names_the_python_version_and_the_texts_hash(data):
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    assert platform.python_version() in data.source
    assert hashlib.sha256(text.encode()).hexdigest() in data.source


def test_a_limit_takes_the_first_windows_and_keeps_the_vocabulary(data):
    few = find_task("python-docs").load(limit=10)
    assert torch.equal(few.train.columns["tokens"], data.train.columns["tokens"][:10])
    assert few.vocabulary == data.vocabulary


def test_a_python_without_the_text_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="comes without pydoc_data"):
        python_docs._topics()


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(TaskError, match="reads the running Python"):
        find_task("python-docs").load(tmp_path)
