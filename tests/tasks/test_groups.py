from random import Random

from dropsmith.tasks.groups import groups


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
        names = groups([("\t".join(pair), "0") for pair in pairs])
        spread = by_spreading(pairs)
        for i in range(20):
            for j in range(20):
                assert (names[i] == names[j]) == (spread[i] == spread[j])


def test_names_do_not_hang_on_the_order_of_rows():
    rows = [("a\tb", "0"), ("c\td", "0"), ("d\tb", "0"), ("e\te", "0")]
    assert groups(rows) == ["a", "a", "a", "e"]
    assert groups(rows[::-1]) == ["e", "a", "a", "a"]


def test_single_texts_hang_together_with_their_copies_alone():
    assert groups([("a", "0"), ("b", "1"), ("a", "1")]) == ["a", "b", "a"]
