import pytest

from dropsmith.tasks.seq2seq.subwords import SPECIAL, Subwords

TEXTS = ["Zwei junge Männer sind im Freien.", "Ein Mann läuft über die Straße."] * 20


@pytest.fixture(scope="module")
def known():
    return Subwords.learn(TEXTS, size=300)


@pytest.mark.parametrize(
    "text", ["Zwei Männer laufen.", "Ünseen – words, 日本語 & 🙂!", "tab\tand \\ slash", "a  b"]
)
def test_any_text_comes_back_whole_from_its_numbers(known, text):
    assert known.text(known.numbers([text])[0]) == text


def test_the_first_numbers_are_the_special_ones_and_no_text_has_them(known):
    assert known.tokens[:3] == SPECIAL
    assert min(known.numbers(["<s> Zwei </s> <pad>"])[0]) >= 3
    assert len(known.tokens) == 300


def test_a_word_of_training_takes_fewer_pieces_than_an_unknown_one(known):
    seen, unseen = known.numbers(["Männer", "Xqzvtk"])
    assert len(seen) < len(unseen)


def test_learning_twice_gives_the_same_pieces(known):
    assert Subwords.learn(TEXTS, size=300).tokens == known.tokens
