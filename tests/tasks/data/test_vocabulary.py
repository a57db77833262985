from hypothesis import given
from hypothesis import strategies as st

from dropsmith.tasks.data.vocabulary import PAD, UNKNOWN_WORD, Vocabulary, tokenise

SPECIAL = (PAD, UNKNOWN_WORD)


def test_words_keep_their_apostrophes_and_hyphens_and_signs_stand_alone():
    assert tokenise("Don't-know, (naïve) 3.5%!") == [
        "don't-know", ",", "(", "naïve", ")", "3", ".", "5", "%", "!",
    ]  # fmt: skip


@given(st.text(alphabet="aB '-.,", max_size=30))
def test_tokenising_loses_nothing_but_spaces_and_capitals(text):
    assert "".join(tokenise(text)) == "".join(text.lower().split())


def test_the_commonest_words_come_first_and_ties_go_by_spelling():
    known = Vocabulary.of([["c", "b", "a", "b"], ["c", "d"]], special=SPECIAL)
    assert known.words == (PAD, UNKNOWN_WORD, "b", "c", "a", "d")


def test_a_cap_counts_the_special_words_and_rare_words_may_be_left_out():
    texts = [["a", "a", "b", "b", "b", "c"]]
    assert Vocabulary.of(texts, special=SPECIAL, max_size=3).words == (PAD, UNKNOWN_WORD, "b")
    assert Vocabulary.of(texts, special=SPECIAL, min_count=2).words == (PAD, UNKNOWN_WORD, "b", "a")


def test_a_word_it_does_not_know_is_unknown_and_a_special_word_in_a_text_is_not_doubled():
    known = Vocabulary.of([["a", UNKNOWN_WORD]], special=SPECIAL)
    assert known.words == (PAD, UNKNOWN_WORD, "a")
    assert known.ids(["a", "z", UNKNOWN_WORD]) == [2, 1, 1]
