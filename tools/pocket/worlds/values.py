"""Text values for invented worlds: names, places, words and invented words.

The words of the pocket databases are among them, so that a small model has met each one in other company.
"""

from __future__ import annotations

import random

from tools.pocket.worlds import DEV, TRAIN
from tools.pocket.worlds.lexicon import NOUNS


def _words(text: str) -> list[str]:
    return text.split()


_NAMES = _words(
    "Alex Amelia Andrea Anton Arthur Barbara Bernard Camila Carmen Charles Christine Daniel Deborah Diana Edward "
    "Ellen Emily Ernest Eric Eva Fabian Fernando Francis Gabriel Gloria Gordon Hannah Harry Helen Irene Jacob "
    "James Janet Jennifer Jessica Joan John Jorge Joseph Julian Karen Katherine Kenneth Laurence Leonard Lewis "
    "Lucas Lucy Margaret Maria Martin Mary Matthew Maya Michael Miguel Monica Natalie Nicole Norman Oliver Pamela "
    "Patricia Paul Rachel Ralph Rebecca Richard Robert Ronald Ryan Samuel Sandra Sharon Sophie Stella Stephen "
    "Susan Teresa Thomas Valerie Vanessa Vincent Violet William Zoe"
)
_SURNAMES = _words(
    "Adams Allen Baker Barnes Bennett Brooks Butler Carter Clark Cole Cooper Cruz Davis Diaz Evans Fisher Flores "
    "Foster Garcia Gomez Graham Grant Green Hayes Hughes Hunt Jensen Johnson Jones Kelly Kim Lee Lopez Martin "
    "Mason Meyer Miller Moore Morris Murphy Nelson Nguyen Olsen Owens Parker Perez Perry Porter Powell Price Reed "
    "Rice Rivera Rogers Russell Sanders Santos Schmidt Scott Shaw Smith Stevens Tanaka Taylor Turner Wagner "
    "Walker Ward Weber White Wilson Wright Young"
)
_PLACES = _words(
    "Algeria Angola Argentina Australia Austria Belgium Bolivia Brazil Bulgaria Cameroon Canada Chile China "
    "Colombia Croatia Cuba Denmark Egypt England Finland France Georgia Germany Ghana Greece Hungary Iceland "
    "India Iran Ireland Israel Italy Japan Jordan Kenya Korea Latvia Malta Mexico Morocco Nepal Nigeria Norway "
    "Panama Peru Poland Portugal Romania Russia Scotland Senegal Serbia Spain Sweden Switzerland Syria Thailand "
    "Turkey Uganda Ukraine Uruguay Vietnam Wales Zambia Amsterdam Athens Austin Baltimore Barcelona Boston "
    "Brussels Chicago Dallas Denver Florence Geneva Hamburg Houston Istanbul Kyoto London Lyon Manchester Miami "
    "Moscow Munich Naples Nairobi Phoenix Prague Quebec Rome Santiago Seattle Seoul Shanghai Stockholm Toronto "
    "Venice Vienna Warsaw Zurich"
)
_WORDS = _words(
    "red blue green yellow black white brown pink purple grey silver golden dark bright light heavy big small old "
    "new young fresh dry wet hot cold warm cool sweet sour salty bitter soft hard smooth rough clean dirty full "
    "empty open closed fast slow high low long short wide narrow deep round square flat sharp loud quiet calm "
    "wild tame rich poor strong weak early late daily weekly monthly local foreign public private active paid "
    "free sold broken ready lost found north south east west left right upper lower inner outer wood iron steel "
    "glass paper stone gold copper cotton wool silk leather plastic sugar salt pepper honey butter cream milk "
    "rice corn wheat apple lemon cherry banana spring summer autumn winter Monday Tuesday Wednesday Thursday "
    "Friday Saturday Sunday morning evening night noon bronze basic junior senior expert beginner math physics "
    "history art music drama comedy jazz rock folk pop opera tennis soccer hockey chess golf basketball lawyer "
    "nurse cook clerk guard cleaner drummer eagle tiger wolf fox bear shark horse rabbit rose lily oak pine maple "
    "river ocean sunset shadow dream secret magic silent hidden broken royal"
)
_SYLLABLES = _words(
    "ba be bo ka ke ko da do du fa fi ga go ha hi jo ju la le lo lu ma me mi mo na ne ni no pa pe pi ra re ri ro "
    "sa se si so ta te ti to va ve vi vo wa we ya yo za zo ran len mar tor ven dor kin bel sta gri plo tru"
)


def _pocket_values(*roles: str) -> list[str]:
    tables = [table for world in (*TRAIN, *DEV) for table in world.tables]
    return sorted({str(value) for table in tables for column in table.of_role(*roles) for value in column.values})


_POCKET_GROUP_VALUES = _pocket_values("group")
_POCKET_WORDS = " ".join(_pocket_values("label", "group")).split()
WORDS = tuple(dict.fromkeys(_NAMES + _SURNAMES + _PLACES + _WORDS + _POCKET_WORDS))
CAPITALS = tuple(word for word in WORDS if word[0].isupper())
LOWERS = tuple(word for word in WORDS if word[0].islower())
TITLE_WORDS = tuple(word.capitalize() for word in LOWERS) + tuple(
    noun.capitalize() for noun in NOUNS if "_" not in noun
)


def label_value(rng: random.Random) -> str:
    """A name or title: one to three capitalised words, or an invented word."""
    draw = rng.random()
    if draw < 0.3:
        return rng.choice(CAPITALS)
    if draw < 0.5:
        return f"{rng.choice(CAPITALS)} {rng.choice(CAPITALS)}"
    if draw < 0.75:
        return f"{rng.choice(TITLE_WORDS)} {rng.choice(TITLE_WORDS)}"
    if draw < 0.82:
        return f"The {rng.choice(TITLE_WORDS)} {rng.choice(TITLE_WORDS)}"
    if draw < 0.9:
        return f"{rng.choice(LOWERS)} {rng.choice(LOWERS)}"
    return invented_word(rng).capitalize()


def group_value(rng: random.Random) -> str:
    """A shared value: a word, mostly one."""
    draw = rng.random()
    if draw < 0.25:
        return rng.choice(_POCKET_GROUP_VALUES)
    if draw < 0.55:
        return rng.choice(LOWERS)
    if draw < 0.85:
        return rng.choice(CAPITALS)
    if draw < 0.92:
        return f"{rng.choice(LOWERS)} {rng.choice(LOWERS)}"
    return invented_word(rng)


def invented_word(rng: random.Random) -> str:
    """Two to four syllables, so that copying is learnt and not only known words are."""
    return "".join(rng.choices(_SYLLABLES, k=rng.randrange(2, 5)))
