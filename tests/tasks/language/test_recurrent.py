import gzip

import pytest
import torch

from dropsmith.errors import DataError, TaskError
from dropsmith.models import Scores
from dropsmith.tasks import find_task
from dropsmith.tasks.language import source as language

TEXTS = {
    "train": " the cat sat \n the dog <unk> \n\n a cat\u2028ran \n",
    "valid": " the bird sat \n",
    "test": " a dog \n ran \n",
}


@pytest.fixture
def folder(tmp_path):
    for part, text in TEXTS.items():
        (tmp_path / f"ptb.{part}.txt").write_text(text, newline="")
    return tmp_path


def words(data, part):
    return [data.vocabulary[i] for i in getattr(data, part).tokens.tolist()]


def test_every_line_ends_in_eos_and_unknown_words_are_unk(folder):
    data = find_task("penn-treebank").load(folder)
    expected = "the cat sat <eos> the dog <unk> <eos> <eos> a cat ran <eos>"
    assert words(data, "train") == expected.split()
    assert words(data, "validation") == ["the", "<unk>", "sat", "<eos>"]
    assert words(data, "test") == ["a", "dog", "<eos>", "ran", "<eos>"]
    assert sorted(data.vocabulary) == sorted(set(expected.split()))
    assert data.classes == len(data.vocabulary)


def test_files_may_be_compressed_called_after_their_part_alone_or_in_a_folder_of_sets(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "sets" / "penn_treebank"
    plain.mkdir()
    packed.mkdir(parents=True)
    for part, text in TEXTS.items():
        (plain / f"{part}.txt").write_text(text, newline="")
        (packed / f"ptb.{part}.txt.gz").write_bytes(gzip.compress(text.encode()))
    first, second = (find_task("penn-treebank").load(p) for p in (plain, tmp_path / "sets"))
    assert first.sha256 == second.sha256


def test_a_limit_takes_the_first_tokens_a_fifth_of_it_elsewhere_and_their_words(folder):
    whole, few = (find_task("penn-treebank").load(folder, limit) for limit in (None, 10))
    assert words(few, "train") == words(whole, "train")[:10]
    assert words(few, "validation") == words(whole, "validation")[:2]
    assert words(few, "test") == words(whole, "test")[:2]
    assert set(few.vocabulary) == {*words(few, "train"), "<unk>", "<eos>"}
    assert few.sha256 != whole.sha256


@pytest.mark.parametrize("limit", [9, 14])
def test_a_limit_that_leaves_nothing_or_asks_for_more_is_refused(folder, limit):
    with pytest.raises(TaskError, match=f"limit={limit}, but there are 13 training tokens"):
        find_task("penn-treebank").load(folder, limit)


def test_a_missing_file_is_named_with_what_was_looked_for(folder):
    (folder / "ptb.valid.txt").unlink()
    with pytest.raises(DataError, match=r"no validation text[\s\S]*ptb.valid.txt, valid.txt"):
        find_task("penn-treebank").load(folder)


def test_a_file_that_cannot_be_read_is_named(folder):
    (folder / "ptb.test.txt").unlink()
    (folder / "ptb.test.txt.gz").write_bytes(b"nothing packed")
    with pytest.raises(DataError, match=r"cannot read .*ptb.test.txt.gz"):
        find_task("penn-treebank").load(folder)


def test_the_hubs_parts_are_read_by_line(monkeypatch):
    rows = {
        name: {"sentence": text.removesuffix("\n").split("\n")}
        for name, text in zip(("train", "validation", "test"), TEXTS.values(), strict=True)
    }
    monkeypatch.setattr(language, "load_from_hub", lambda *address: rows)
    language._read.cache_clear()
    data = find_task("penn-treebank").load()
    language._read.cache_clear()
    assert words(data, "test") == ["a", "dog", "<eos>", "ran", "<eos>"]


def test_the_state_is_carried_where_the_model_returns_one(folder):
    task = find_task("penn-treebank")
    state = (torch.ones(2, 1, 3),)
    assert task.carry(Scores(torch.zeros(2, 4, 5), state)) == {"state": state}
    assert task.carry(torch.zeros(2, 4, 5)) == {}


def test_it_is_judged_by_the_words_that_count():
    labels = torch.tensor([[0, 1], [2, -100]])
    found = find_task("penn-treebank").score(torch.zeros(2, 2, 4), {"labels": labels})
    assert found["nll"] == (pytest.approx(3 * torch.tensor(4.0).log()), 3)
    assert set(found) == {"nll"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tokens", "kinds"),
    [
        ("penn-treebank", (929_589, 73_760, 82_430), 10_000),
        ("wikitext2", (2_088_628, 217_646, 245_569), 33_278),
    ],
)
def test_the_real_texts_have_the_published_counts(data_dir, name, tokens, kinds):
    data = find_task(name).load(data_dir)
    parts = (data.train, data.validation, data.test)
    assert tuple(len(part.tokens) for part in parts) == tokens
    assert tuple(len(part) for part in parts) == tuple(count - 1 for count in tokens)
    assert len(data.vocabulary) == data.classes == kinds
    # No word of validation or test is outside the vocabulary: <unk> is there as often as written.
    where = {"penn-treebank": "ptb.test.txt.gz", "wikitext2": "wiki.test.tokens.gz"}[name]
    text = gzip.decompress((data_dir / find_task(name).source.folder / where).read_bytes())
    unknown = data.vocabulary.index("<unk>")
    assert int((data.test.tokens == unknown).sum()) == text.decode().split().count("<unk>")
