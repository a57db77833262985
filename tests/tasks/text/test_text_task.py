import pytest

from dropsmith.errors import DataError
from dropsmith.tasks import find_task
from dropsmith.tasks.text.source import LONGEST


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.tsv").write_text(
        "text\tlabel\nGood good film\tup\nbad film\tdown\nbad\tdown\ngood\tup\nso bad\tdown\n"
    )
    (tmp_path / "dev.tsv").write_text("text\tlabel\nan unseen film\tup\n")
    (tmp_path / "test.tsv").write_text(f"text\tlabel\n{'bad ' * 100}\tdown\nfilm\tup\n")
    return tmp_path


def test_texts_are_rows_of_word_numbers_padded_with_zeros(folder):
    data = find_task("text").load(folder)
    assert data.vocabulary[:2] == ("<pad>", "<unk>")
    texts = {
        tuple(data.vocabulary[i] for i in row if i) for row in data.train.columns["tokens"].tolist()
    }
    assert texts == {("good", "good", "film"), ("bad", "film"), ("bad",), ("good",), ("so", "bad")}


def test_labels_go_by_their_names(folder):
    data = find_task("text").load(folder)
    assert data.names == ("down", "up")
    for row, label in zip(*data.train.columns.values(), strict=True):
        words = [data.vocabulary[i] for i in row]
        assert label == int("good" in words)


def test_words_outside_training_are_unknown(folder):
    data = find_task("text").load(folder)
    row = data.validation.columns["tokens"][0]
    assert [data.vocabulary[i] for i in row] == ["<unk>", "<unk>", "film"]


def test_a_long_text_is_cut(folder):
    assert find_task("text").load(folder).test.columns["tokens"].shape[1] == LONGEST


def test_a_limit_is_balanced_and_narrows_the_vocabulary(folder):
    few = find_task("text").load(folder, 2)
    assert sorted(few.train.columns["labels"].tolist()) == [0, 1]
    assert len(few.vocabulary) < len(find_task("text").load(folder).vocabulary)


def test_a_batch_is_no_longer_than_its_longest_text_and_the_model_takes_it(folder):
    task = find_task("text")
    data = task.load(folder)
    batch = data.train.rows(slice(0, 5))
    assert batch["tokens"].shape == (5, 3)
    assert task.model(data)(batch["tokens"]).shape == (5, 2)


def test_one_table_is_split_and_a_path_to_it_is_a_task(tmp_path):
    path = tmp_path / "reviews.csv"
    rows = "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(100))
    path.write_text("sentence,label\n" + rows)
    task = find_task(str(path))
    data = task.load()
    assert task.name == str(path)
    assert len(data.train) > 50
    assert sum(len(p) for p in (data.train, data.validation, data.test)) == 100


def test_one_class_only_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"text {i},a\n" for i in range(50)))
    with pytest.raises(DataError, match=r"only one class in .*: a"):
        find_task("text").load(path)


def test_without_a_table_it_asks_for_one():
    with pytest.raises(DataError, match="--data FILE"):
        find_task("text").load()
