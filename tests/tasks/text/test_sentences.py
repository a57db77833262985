"""The real sets, each held against counts published with it."""

import gzip

import pytest

from dropsmith.tasks import find_task
from dropsmith.tasks.text.parts import partition


def sentences(data, part):
    columns = getattr(data, part).columns
    return {tuple(row) for row in columns["tokens"].tolist()}


def sizes(data):
    return [len(p) for p in (data.train, data.validation, data.test)]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["nlu", "nlu/sst2"])
def test_sst2_trains_on_ten_thousand_balanced_phrases_and_tests_on_1821(data_dir, where):
    data = find_task("sst2").load(data_dir / where)
    assert sizes(data) == [10_000, 872, 1_821]
    assert data.train.columns["labels"].bincount().tolist() == [5_000, 5_000]
    assert data.test.columns["labels"].bincount().tolist() == [912, 909]
    assert data.names == ("negative", "positive")


def test_the_first_test_sentence_of_sst2_comes_back_from_its_numbers(data_dir):
    data = find_task("sst2").load(data_dir / "nlu")
    with gzip.open(data_dir / "nlu" / "sst2" / "test.tsv.gz", "rt") as lines:
        next(lines)
        text, label = next(lines).rstrip("\n").split("\t")
    ids = data.test.rows(slice(0, 1))["tokens"][0].tolist()
    words = [data.vocabulary[i] for i in ids]
    assert len(words) == len(text.split())
    assert all(word in (there, "<unk>") for word, there in zip(words, text.split(), strict=True))
    assert data.test.columns["labels"][0] == int(label)


@pytest.mark.slow
def test_a_larger_limit_may_take_more_of_sst2(data_dir):
    data = find_task("sst2").load(data_dir / "nlu", 20_000)
    assert sizes(data) == [20_000, 872, 1_821]


@pytest.mark.slow
def test_rt_polarity_is_split_by_its_sentences(data_dir):
    data = find_task("rt_polarity").load(data_dir / "nlu")
    assert sum(sizes(data)) == 10_662
    for size, share in zip(sizes(data), (0.7, 0.15, 0.15), strict=True):
        assert abs(size - share * 10_662) < 5 * (10_662 * share * (1 - share)) ** 0.5


def test_cola_tests_on_the_1043_sentences_of_both_development_sets(data_dir):
    data = find_task("cola").load(data_dir / "nlu")
    assert sizes(data)[1:] == [1_000, 1_043]
    # 8,551 sentences, 1,000 of them now validation, less those that stand in validation or test.
    assert 7_500 < sizes(data)[0] <= 7_551
    assert data.test.columns["labels"].bincount().tolist() == [324, 719]


@pytest.mark.parametrize("name", ["sst2", "rt_polarity", "cola"])
def test_no_sentence_is_in_two_parts(data_dir, name):
    from dropsmith.tasks.text.sentences import COLA, RT_POLARITY, SST2

    source = {"sst2": SST2, "rt_polarity": RT_POLARITY, "cola": COLA}[name].source
    rows_of_parts = partition(source.parts(data_dir / "nlu"))
    parts = {part: {text for text, _ in rows} for part, rows in rows_of_parts.items()}
    train, validation, test = parts["train"], parts["validation"], parts["test"]
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
