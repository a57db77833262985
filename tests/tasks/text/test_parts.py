from random import Random

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks.text.parts import partition, read_parts, sentence_groups

ROWS = [(f"text {i}", "ab"[i % 2]) for i in range(200)]
OTHER = [(f"other {i}", "ab"[i % 2]) for i in range(20)]
THIRD = [(f"third {i}", "ab"[i % 2]) for i in range(20)]


def texts(rows):
    return {text for text, _ in rows}


def check_apart(parts):
    assert list(parts) == ["train", "validation", "test"]
    train, validation, test = map(texts, parts.values())
    assert len(train | validation | test) == len(train) + len(validation) + len(test)


def test_three_parts_are_taken_as_they_are():
    parts = partition({"train": ROWS, "validation": OTHER, "test": THIRD})
    assert parts == {"train": ROWS, "validation": OTHER, "test": THIRD}


def test_a_text_in_two_parts_stays_in_the_later_one():
    parts = partition(
        {"train": ROWS, "validation": [*OTHER, ROWS[0]], "test": [*THIRD, ROWS[1], OTHER[0]]}
    )
    check_apart(parts)
    assert parts["train"] == ROWS[2:]
    assert parts["validation"] == [*OTHER[1:], ROWS[0]]
    assert len(parts["test"]) == 22


@pytest.mark.parametrize("held", ["validation", "test"])
def test_the_only_held_out_part_is_the_test_and_validation_is_cut_from_training(held):
    parts = partition({"train": ROWS, held: OTHER})
    check_apart(parts)
    assert parts["test"] == OTHER
    assert (len(parts["train"]), len(parts["validation"])) == (170, 30)
    assert sum(label == "a" for _, label in parts["validation"]) == 15


def test_no_more_than_a_thousand_are_cut():
    many = [(str(i), "ab"[i % 2]) for i in range(20_000)]
    assert len(partition({"train": many, "test": OTHER})["validation"]) == 1_000


def test_one_table_is_divided_by_its_texts_so_copies_stay_together_and_order_does_not_matter():
    parts = partition({"all": ROWS + ROWS})
    check_apart(parts)
    assert sum(map(len, parts.values())) == 400
    turned = partition({"all": ROWS[::-1]})
    assert all(texts(parts[part]) == texts(turned[part]) for part in parts)


def test_tables_in_a_folder_are_found_by_their_names(tmp_path):
    for name in ("train.tsv", "dev_a.tsv", "dev_b.tsv", "test.tsv"):
        (tmp_path / name).write_text(f"text\tlabel\nfrom {name}\ta\n")
    (tmp_path / "notes.txt").write_text("not a table")
    assert read_parts(tmp_path, ("text",)) == {
        "train": [("from train.tsv", "a")],
        "validation": [("from dev_a.tsv", "a"), ("from dev_b.tsv", "a")],
        "test": [("from test.tsv", "a")],
    }


def test_a_folder_without_tables_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no table in[\s\S]*train, valid and test, or all"):
        read_parts(tmp_path, ("text",))
    with pytest.raises(DataError, match="no file or folder"):
        read_parts(tmp_path / "gone", ("text",))


def by_spreading(pairs):
    """Which pairs hang together, found by handing numbers on until nothing changes."""
    own = list(range(len(pairs)))
    changed = True
    while changed:
        changed = False
        for i, one in enumerate(pairs):
            for j, other in enumerate(pairs):
                if set(one) & set(other) and own[i] != own[j]:
                    own[i] = own[j] = min(own[i], own[j])
                    changed = True
    return own


def test_pairs_have_one_name_exactly_where_sentences_link_them():
    random = Random(0)
    for _ in range(20):
        pairs = [(f"s{random.randrange(30)}", f"s{random.randrange(30)}") for _ in range(20)]
        names = sentence_groups([("\t".join(pair), "0") for pair in pairs])
        spread = by_spreading(pairs)
        for i in range(20):
            for j in range(20):
                assert (names[i] == names[j]) == (spread[i] == spread[j])


def test_names_do_not_hang_on_the_order_of_rows():
    rows = [("a\tb", "0"), ("c\td", "0"), ("d\tb", "0"), ("e\te", "0")]
    assert sentence_groups(rows) == ["a", "a", "a", "e"]
    assert sentence_groups(rows[::-1]) == ["e", "a", "a", "a"]


def test_single_texts_hang_together_with_their_copies_alone():
    assert sentence_groups([("a", "0"), ("b", "1"), ("a", "1")]) == ["a", "b", "a"]


def test_equal_texts_and_pairs_are_in_one_part_however_they_are_written():
    rows = [row for i in range(200) for row in ((f"It is n't {i} .", "a"), (f"it isn't {i}.", "b"))]
    parts = partition({"all": rows})
    assert all(len(part) > 20 for part in parts.values())
    # Each pair of rows is in one part where no part holds an odd number of either label.
    counts = [[label for _, label in part] for part in parts.values()]
    assert all(labels.count("a") == labels.count("b") for labels in counts)
    pairs = [("One .\tTwo .", "a"), ("one.\ttwo.", "b"), ("one.\tthree", "a"), ("Two\tx", "a")]
    assert sentence_groups(pairs) == ["One .", "One .", "One .", "Two"]
