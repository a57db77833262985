"""Examples in more than one part are those that a look at every pair of examples finds."""

import random

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks.data.repeats import (
    conflicts_note,
    count_repeats,
    normalise,
    repeats_note,
    rows_to_keep,
)

PARTS = ("train", "validation", "test")


def drawn(seed):
    draw = random.Random(seed)
    return {part: [draw.randint(0, 40) for _ in range(draw.randint(6, 20))] for part in PARTS}


@pytest.mark.parametrize("drop", ["train", "test"])
def test_what_is_left_stands_in_one_part_alone_and_nothing_else_is_left_out(drop):
    for seed in range(40):
        keys = drawn(seed)
        try:
            rows = rows_to_keep(keys, drop, "row")
        except DataError:
            continue
        order = PARTS[::-1] if drop == "train" else PARTS
        for place, part in enumerate(order):
            before = [key for other in order[:place] for key in keys[other]]
            expected = [row for row, key in enumerate(keys[part]) if key not in before]
            assert rows[part] == expected


def test_repeats_are_counted_as_by_hand():
    for seed in range(40):
        keys = drawn(seed)
        for (part, earlier), count in count_repeats(keys).items():
            assert count == sum(any(a == b for b in keys[earlier]) for a in keys[part])


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("I did n't see it .", "I didn't see it.", True),
        ("I didn’t  SEE it.", "I did n't see it .", True),
        ("`` A film '' -LRB- 1999 -RRB-", '"a film" (1999)', True),
        ("well-made", "well - made", True),
        ("Straße ﬁlm", "STRASSE film", True),
        ("a part", "apart", False),
        ("a film.", "a film!", False),
        ("1.5", "15", False),
        ("", ".", False),
    ],
)
def test_texts_are_equal_but_for_case_space_and_tokenisation(first, second, equal):
    assert (normalise(first) == normalise(second)) == equal


def test_nothing_is_said_where_nothing_is_repeated():
    assert repeats_note({"train": "a", "validation": "b", "test": "c"}, "text") == ()


def test_a_part_that_would_be_empty_is_refused_with_the_other_side():
    keys = {"train": "abc", "validation": "a", "test": "d"}
    with pytest.raises(DataError, match=r"every validation text is in an earlier .*\n.*s train$"):
        rows_to_keep(keys, "test", "text")
    with pytest.raises(DataError, match=r"every training text is in a later .*\n.*s test$"):
        rows_to_keep({"train": "a", "validation": "ab", "test": "c"}, "train", "text")


def test_an_input_with_several_labels_is_counted_once():
    keys = {"train": "aaab", "validation": "ab", "test": "cc"}
    labels = {"train": [0, 1, 0, 2], "validation": [1, 2], "test": [0.5, 0.5]}
    assert conflicts_note(keys, labels, "row") == (
        ("conflicts", "1 row is there with more than one label"),
    )
