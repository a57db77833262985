"""Pronouns and participles as names, which say nothing without the sentence they were taken from.

`found` and `own` are parts of a sentence whose subject a reader has to look for; `sites` and
`task_loss` are things. A name counts when no noun or verb is left in it: all of its words are
pronouns, participles or the small words that stand beside them, and one at least is a pronoun or a
participle. So `made`, `told_apart` and `made_for` count, and `shared_rows` and `before` do not.

Participles that the field uses as adjectives are left out, as are past forms that are nouns or
verbs as well (`cut`, `read`, `run`, `set`, `split`), `i` (an index), `other` (the name that Python
gives the second operand), questions like `is_closed`, and forms in -ing, most of which are nouns.
"""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRONOUNS = _words(
    """
    all another any anything both each every everything few he her him his it its least mine more
    most neither nothing one ones our ours own she some something such that their theirs them
    these they this those we what whatever which whichever who whoever whole whom whose your yours
    """
)
"""Pronouns, and words that take a noun's place (`own`, `few`, `whole`)."""

IRREGULAR = _words(
    """
    begun bent bitten blown born borne bought broken brought built caught chosen done drawn driven
    eaten fallen fed felt flown forgotten fought found given gone got gotten grown heard held
    hidden hung kept known laid learnt left lent lost made meant met paid proven risen said seen
    sent shaken shown sold sought spelt spent spoken stolen struck taken taught thought thrown
    told torn understood unheard unknown unseen untold woken won worn woven written
    """
)
"""Participles that do not end in -ed."""

NO_PARTICIPLE = _words(
    """
    bed deed embed feed hundred indeed naked need red seed speed
    """
)
"""Words that end in -ed and are no participles."""

FIELD = _words(
    """
    compiled embedded expected fused hidden keyed looped masked packed padded pretrained quantized
    retuned shared squared stacked tied weighted
    """
)
"""Participles that are the field's own names: a hidden state, a packed sequence, tied weights."""

BESIDE = _words(
    """
    a about again alone along an and apart as at away back before below beside but by down first
    for from here in into last not of off on only or out over so than the then there to too until
    up when where with without
    """
)
"""Small words that make no noun of a participle they stand beside."""


def words_of(name: str) -> list[str]:
    """The words of a name in snake or camel case, in small letters.

    >>> words_of("_made_for"), words_of("TornLine")
    (['made', 'for'], ['torn', 'line'])
    """
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return [word for word in parted.lower().split("_") if word]


def is_participle(word: str) -> bool:
    """Whether a word is a past participle that is not the field's own name for something.

    >>> is_participle("chosen"), is_participle("counted"), is_participle("seed")
    (True, True, False)
    """
    if word in FIELD or word in NO_PARTICIPLE:
        return False
    return word in IRREGULAR or (word.endswith("ed") and len(word) > 3)


def needs_its_sentence(name: str) -> bool:
    """Whether a name is nothing but pronouns, participles and the small words beside them.

    >>> [needs_its_sentence(name) for name in ("own", "told_apart", "own_calls", "before")]
    [True, True, False, False]
    """
    words = words_of(name)
    telling = [word in PRONOUNS or is_participle(word) for word in words]
    return any(telling) and all(
        tells or word in BESIDE for tells, word in zip(telling, words, strict=True)
    )
